"""Planes of luma and chroma: colours, formats, ranges and orientations."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from synth.clips import Clip, steady, write_clip

from vacli.media.probe import probe, required_video
from vacli.media.timeline import read_timeline
from vacli.media.video import open_video
from vacli.media.video_pyav import PyavReader
from vacli.media.yuv import BT601, BT709, BT2020, Planes, UprightScaler, matrix_of, planes_of_rgb

COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (86, 180, 233))
QUARTERS = (
    (220, 40, 40),
    (40, 200, 40),
    (40, 40, 220),
    (230, 230, 230),
)  # upper left, right, lower left, right


def quarters(row: int) -> np.ndarray:
    top = np.hstack([np.full((24, 32, 3), colour, np.uint8) for colour in QUARTERS[:2]])
    bottom = np.hstack([np.full((24, 32, 3), colour, np.uint8) for colour in QUARTERS[2:]])
    return np.vstack([top, bottom])


def first_planes(path: Path, size_px: tuple[int, int]) -> tuple[Planes, np.ndarray]:
    """The scaled first picture, and the upright RGB of the same frame."""
    info = probe(path)
    reader = PyavReader(info, read_timeline(info))
    _, picture = next(reader.pictures())
    planes = UprightScaler(required_video(info), *size_px, matrix_of(picture)).scale(picture)
    with open_video(path) as video:
        return planes, next(iter(video)).rgb


def rgb_of(planes: Planes) -> np.ndarray:
    stacked = np.concatenate([plane.reshape(-1) for plane in (planes.y, planes.u, planes.v)])
    frame = av.VideoFrame.from_ndarray(stacked.reshape(-1, planes.y.shape[1]), "yuv420p")
    return frame.to_ndarray(format="rgb24")


@pytest.mark.parametrize("matrix", [BT601, BT709], ids=["601", "709"])  # all of PyAV 17
@pytest.mark.parametrize("colour", COLOURS)
def test_colours_equal_those_of_the_scaler(matrix, colour):
    code = matrix.scaler_code
    frame = av.VideoFrame.from_ndarray(np.full((16, 16, 3), colour, np.uint8), "rgb24").reformat(
        format="yuv420p", src_colorspace=code, dst_colorspace=code, dst_color_range=1
    )
    scaled = [int(plane[4, 4]) for plane in (Planes.of(frame).y, Planes.of(frame).u, Planes.of(frame).v)]
    np.testing.assert_allclose(matrix.yuv(colour), scaled, atol=1)


@pytest.mark.parametrize(
    ("matrix", "red"), [(BT601, (81, 90, 240)), (BT709, (63, 102, 240)), (BT2020, (74, 97, 240))]
)
def test_red_has_the_values_of_the_recommendations(matrix, red):
    assert matrix.yuv((255, 0, 0)) == red


def test_chroma_is_the_mean_of_four_pixels():
    rgb = np.zeros((2, 2, 3), np.uint8)
    rgb[0, 0] = (255, 0, 0)
    quarter = (BT601.yuv((255, 0, 0))[2] - 128) / 4
    assert planes_of_rgb(rgb, BT601).v[0, 0] == pytest.approx(128 + quarter, abs=1)


@pytest.mark.parametrize("rotation_deg", [0, 90, 180, 270])
def test_rotated_pictures_become_upright(tmp_path, rotation_deg):
    clip = Clip(steady(25, 0.2), picture=quarters, rotation_deg=rotation_deg, options={"crf": "8"})
    path = write_clip(tmp_path / "a.mp4", clip)
    upright = probe(path).video
    planes, rgb = first_planes(path, (upright.width_px, upright.height_px))
    assert planes.y.shape == rgb.shape[:2]
    assert np.abs(rgb_of(planes).astype(int) - rgb).mean() < 4


@pytest.mark.parametrize("pixel_format", ["yuv420p10le", "yuv444p", "yuvj420p", "gray", "yuv422p10le"])
def test_all_pixel_formats_become_8_bits_of_limited_range(tmp_path, pixel_format):
    clip = Clip(steady(25, 0.2), picture=quarters, pixel_format=pixel_format, options={"crf": "8"})
    planes, rgb = first_planes(write_clip(tmp_path / "a.mkv", clip), (64, 48))
    assert np.abs(rgb_of(planes).astype(int) - rgb).mean() < 5


def test_pictures_are_scaled_to_even_sizes(tmp_path):
    clip = Clip(steady(25, 0.2), picture=quarters, options={"crf": "8"})
    planes, _ = first_planes(write_clip(tmp_path / "a.mp4", clip), (46, 34))
    assert (planes.y.shape, planes.u.shape, planes.v.shape) == ((34, 46), (17, 23), (17, 23))


def test_stored_pixels_that_are_not_square_are_stretched(tmp_path):
    path = write_clip(tmp_path / "a.mp4", Clip(steady(25, 0.2), picture=quarters))
    video = replace(required_video(probe(path)), pixel_aspect=2.0, width_px=128)
    info = probe(path)
    _, picture = next(PyavReader(info, read_timeline(info)).pictures())
    assert UprightScaler(video, 128, 48, BT601).scale(picture).y.shape == (48, 128)


def test_a_video_without_a_matrix_has_that_of_its_size():
    for height, matrix in ((480, BT601), (720, BT709)):
        assert matrix_of(av.VideoFrame(64, height, "yuv420p")) == matrix


def test_a_view_shares_the_memory_of_its_planes():
    planes = Planes.filled(8, 6, (16, 128, 128))
    planes.view(2, 2, 4, 2).y[:] = 200
    assert planes.y[2:4, 2:6].min() == 200
    assert (planes.y == 200).sum() == 8


def test_pictures_have_the_rows_of_the_frames(tmp_path):
    path = write_clip(tmp_path / "a.mkv", Clip(steady(Fraction(25), 0.4)))
    info = probe(path)
    reader = PyavReader(info, read_timeline(info))
    assert [row for row, _ in reader.pictures()] == list(range(10))
    assert reader.decode_error is None
