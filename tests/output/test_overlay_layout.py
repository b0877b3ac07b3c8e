"""Places of the parts of an overlay at all sizes of videos."""

from __future__ import annotations

import itertools

import pytest

from vacli.output.overlay.layout import (
    LINE_TEXTS,
    MIN_SHORT_SIDE_PX,
    VALUES_TEXTS,
    make_layout,
    overlay_size,
)

SIZES = [
    (360, 288),
    (640, 480),
    (720, 288),
    (1280, 720),
    (720, 1280),
    (1080, 1920),
    (2560, 1080),
    (3840, 2160),
    (240, 240),
    (320, 240),
    (240, 426),
]


def boxes(layout) -> dict:
    names = ("picture", "plane", "values", "valence", "arousal", "face_lane", "voice_lane")
    return {name: getattr(layout, name) for name in names}


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_parts_are_even_and_lie_within_the_overlay(size):
    layout = make_layout(*size)
    for box in (*boxes(layout).values(), layout.curves):
        assert not any(value % 2 for value in (box.left, box.top, box.width, box.height))
        assert box.left >= 0
        assert box.top >= 0
        assert box.width > 0
        assert box.height > 0
        assert box.right <= layout.width
        assert box.bottom <= layout.height


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_parts_do_not_overlap(size):
    for (name, a), (other, b) in itertools.combinations(boxes(make_layout(*size)).items(), 2):
        apart = a.right <= b.left or b.right <= a.left or a.bottom <= b.top or b.bottom <= a.top
        assert apart, f"{name} and {other}"


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_charts_are_high_enough_to_read_and_the_picture_keeps_its_shape(size):
    layout = make_layout(*size)
    assert layout.valence.height == layout.arousal.height >= 1.5 * layout.text_px
    assert layout.picture.width / layout.picture.height == pytest.approx(size[0] / size[1], rel=0.02)
    assert layout.picture.width >= 0.6 * size[0]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_times_below_the_lanes_have_room(size):
    layout = make_layout(*size)
    assert layout.height - layout.voice_lane.bottom >= 1.2 * layout.text_px


def test_an_overlay_has_the_even_size_of_its_video():
    assert overlay_size(1280, 720) == (1280, 720)
    assert overlay_size(641, 361) == (640, 360)
    assert overlay_size(3840, 2160) == (3840, 2160)


def test_a_wanted_width_keeps_the_shape():
    assert overlay_size(1280, 720, 640) == (640, 360)
    assert overlay_size(720, 1280, 360) == (360, 640)


def test_tiny_videos_are_enlarged():
    assert overlay_size(64, 48) == (320, MIN_SHORT_SIDE_PX)
    assert overlay_size(64, 64, 64) == (MIN_SHORT_SIDE_PX, MIN_SHORT_SIDE_PX)


def test_an_overlay_is_not_larger_than_encoders_take():
    assert overlay_size(16_384, 4096) == (8192, 2048)
    assert overlay_size(4096, 16_384, 8192) == (2048, 8192)
    with pytest.raises(ValueError, match="20000 x 64 pixels are too long and narrow"):
        overlay_size(20_000, 64)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_values_of_at_least_one_face_fit(size):
    layout = make_layout(*size)
    for left, top in layout.value_places:
        assert left + VALUES_TEXTS * layout.text_px <= layout.values.right + 1
        assert top + 4 * LINE_TEXTS * layout.text_px <= layout.values.bottom + layout.text_px


@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080), (3840, 2160), (720, 1280), (720, 288)], ids=str)
def test_the_values_of_two_faces_fit_in_usual_videos(size):
    assert len(make_layout(*size).value_places) >= 2
