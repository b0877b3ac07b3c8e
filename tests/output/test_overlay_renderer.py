"""Drawn overlays: boxes, curves, cursor, plane and values are where and as they should be."""

from __future__ import annotations

import numpy as np
import pytest
from synth.overlays import table_at

from vacli.media.yuv import BT601, BT709, Planes
from vacli.output.overlay import palette
from vacli.output.overlay.charts import PAGE_S, Page, clock_text, draw_page, page_of, value_y
from vacli.output.overlay.curves import FaceCurves, align_tables
from vacli.output.overlay.face_hiding import box_spans
from vacli.output.overlay.layout import Box, Layout, make_layout
from vacli.output.overlay.renderer import OverlayRenderer, Picture, Subject, value_text

TIMES_S = np.arange(100) / 25
SIZE_PX = (640, 480)
LAYOUT = make_layout(*SIZE_PX)
PICTURE = (120, 100, 160)
BOX = (200.0, 120.0, 160.0, 200.0)


def drawn(
    row: int = 50,
    faces: list[FaceCurves] | None = None,
    picture_row: int | None = None,
    subject: dict | None = None,
    layout: Layout = LAYOUT,
) -> Planes:
    faces = align_tables([table_at(TIMES_S, box=BOX)], TIMES_S) if faces is None else faces
    renderer = OverlayRenderer(layout, Subject(TIMES_S, faces, *SIZE_PX, **(subject or {})), BT601)
    canvas = Planes.filled(layout.width, layout.height, (0, 0, 0))
    picture = Planes.filled(layout.picture.width, layout.picture.height, PICTURE)
    renderer.draw(canvas, row, Picture(picture, row if picture_row is None else picture_row))
    return canvas


def place(canvas: Planes, box: Box) -> Planes:
    return canvas.view(box.left, box.top, box.width, box.height)


def scaled(x: float, y: float) -> tuple[int, int]:
    """A point of the video in the picture of the overlay."""
    return round(x * LAYOUT.picture.width / 640), round(y * LAYOUT.picture.height / 480)


def close(pixel: tuple, colour: palette.RGB, matrix=BT601) -> bool:
    return bool(np.abs(np.subtract(pixel, matrix.yuv(colour))).max() <= 12)


def pixel(planes: Planes, x: int, y: int) -> tuple[int, int, int]:
    return int(planes.y[y, x]), int(planes.u[y // 2, x // 2]), int(planes.v[y // 2, x // 2])


def test_the_box_is_at_the_face_in_its_colour():
    canvas = drawn()
    left, top = scaled(200, 120)
    right, bottom = scaled(360, 320)
    for x, y in ((left + 1, (top + bottom) // 2), (right - 2, bottom - 9), ((left + right) // 2, bottom - 2)):
        assert close(pixel(canvas, x, y), palette.face_colour(0)), (x, y)
    inside = canvas.y[top + 10 : bottom - 10, left + 10 : right - 10]
    assert (inside == PICTURE[0]).all()


def test_each_face_has_its_own_colour():
    tables = [table_at(TIMES_S, face_id=0, box=BOX), table_at(TIMES_S, face_id=3, box=(400, 120, 100, 100))]
    canvas = drawn(faces=align_tables(tables, TIMES_S))
    assert close(pixel(canvas, *(value + 1 for value in scaled(200, 200))), palette.face_colour(0))
    assert close(pixel(canvas, *(value + 1 for value in scaled(400, 200))), palette.face_colour(1))


def test_the_box_of_a_face_without_a_prediction_is_grey():
    canvas = drawn(faces=align_tables([table_at(TIMES_S, box=BOX, modality="none")], TIMES_S))
    assert close(pixel(canvas, *(value + 1 for value in scaled(200, 200))), palette.NO_PREDICTION)


def test_frames_without_a_face_have_no_box():
    table = table_at(TIMES_S, face_id=-1, box=(np.nan,) * 4, modality="audio")
    canvas = drawn(faces=align_tables([table], TIMES_S))
    assert (place(canvas, LAYOUT.picture).y == PICTURE[0]).all()


@pytest.mark.parametrize(("row", "fraction"), [(0, 0.0), (33, 1 / 3), (99, 1.0)])
def test_the_cursor_is_at_the_time_of_the_frame(row, fraction):
    canvas, chart = drawn(row), LAYOUT.arousal
    bright = np.flatnonzero(canvas.y[chart.top + 2, chart.left : chart.right] > 225)
    assert len(bright) == 2
    assert bright.mean() == pytest.approx(fraction * (chart.width - 1), abs=2)


def test_the_point_of_the_plane_is_at_valence_and_arousal():
    canvas = place(drawn(), LAYOUT.plane)
    x, y = 0.75 * LAYOUT.plane.width, 0.625 * LAYOUT.plane.height
    assert close(pixel(canvas, round(x), round(y)), palette.face_colour(0))


def test_a_greater_uncertainty_has_a_greater_ellipse_and_band():
    shaded = []
    for error in (0.05, 0.4):
        table = table_at(TIMES_S, valence_uncertainty=np.full(100, error), box=(np.nan,) * 4)
        canvas = drawn(faces=align_tables([table], TIMES_S))
        unknown = {f"{name}_uncertainty": np.full(100, np.nan) for name in ("valence", "arousal")}
        flat = drawn(faces=align_tables([table_at(TIMES_S, box=(np.nan,) * 4, **unknown)], TIMES_S))
        differs = [
            (np.abs(place(canvas, box).y.astype(int) - place(flat, box).y) > 4).sum()
            for box in (LAYOUT.plane, LAYOUT.valence)
        ]
        shaded.append(differs)
    assert shaded[1][0] > 2 * shaded[0][0]
    assert shaded[1][1] > 1.5 * shaded[0][1]


def test_a_huge_uncertainty_covers_the_plane():
    faces = align_tables([table_at(TIMES_S, valence_uncertainty=np.full(100, 1e6))], TIMES_S)
    still = align_tables([table_at(TIMES_S, modality="none")], TIMES_S)
    row = round(0.625 * LAYOUT.plane.height)
    plane, empty = (place(drawn(faces=one), LAYOUT.plane).u[row // 2] for one in (faces, still))
    assert (plane != empty).mean() > 0.9


def test_the_trail_follows_the_past_points():
    valence = np.linspace(-0.8, 0.8, 100)
    table = table_at(TIMES_S, valence=valence, valence_uncertainty=np.full(100, np.nan))
    faces = align_tables([table], TIMES_S)
    plane = place(drawn(80, faces), LAYOUT.plane)
    still = place(drawn(0, faces), LAYOUT.plane)
    row = slice(round(0.625 * LAYOUT.plane.height) - 2, round(0.625 * LAYOUT.plane.height) + 2)
    changed = np.flatnonzero(plane.u[row.start // 2] != still.u[row.start // 2])
    x = 2 * changed
    past = (valence[50] + 1) / 2 * LAYOUT.plane.width
    now = (valence[80] + 1) / 2 * LAYOUT.plane.width
    later = (valence[95] + 1) / 2 * LAYOUT.plane.width
    assert ((x > past - 10) & (x < now - 14)).any()
    assert not (x > later - 4).any()


def test_a_frame_that_was_not_decoded_is_darkened():
    canvas = place(drawn(50, picture_row=48), LAYOUT.picture)
    assert canvas.y[5, 5] < 0.7 * PICTURE[0]
    assert canvas.y.max() > 200  # the words


def test_faces_are_hidden_at_the_row_of_the_picture():
    rng = np.random.default_rng(0)
    spans = box_spans(TIMES_S, np.arange(40), np.tile([[200.0, 120, 360, 320]], (40, 1)))
    faces = align_tables([table_at(TIMES_S, box=(np.nan,) * 4)], TIMES_S)
    subject = Subject(TIMES_S, faces, *SIZE_PX, hidden=spans)
    renderer = OverlayRenderer(LAYOUT, subject, BT601)
    picture = Planes.filled(LAYOUT.picture.width, LAYOUT.picture.height, PICTURE)
    picture.y[:] = rng.integers(20, 230, picture.y.shape)
    canvas = Planes.filled(LAYOUT.width, LAYOUT.height, (0, 0, 0))
    renderer.draw(canvas, 20, Picture(picture, 20))
    left, top = scaled(200, 120)
    right, bottom = scaled(360, 320)
    assert canvas.y[top:bottom, left:right].std() < 0.2 * picture.y.std()
    renderer.draw(canvas, 90, Picture(picture, 90))
    assert canvas.y[top:bottom, left:right].std() > 0.9 * picture.y.std()
    renderer.draw(canvas, 90, Picture(picture, 39))
    below_the_words = canvas.y[bottom - 30 : bottom, left:right]
    assert below_the_words.std() < 0.2 * picture.y.std()


def test_many_faces_are_counted_where_their_values_do_not_fit():
    faces = align_tables([table_at(TIMES_S, face_id=number) for number in range(12)], TIMES_S)
    many, few = drawn(faces=faces), drawn(faces=faces[: len(LAYOUT.value_places)])
    box = LAYOUT.values
    corner = Box(box.left + box.width // 4 * 2, box.top, box.width // 4 * 2, 2 * LAYOUT.text_px)
    assert place(many, corner).y.std() > place(few, corner).y.std()


def test_curves_lie_at_their_values_and_frames_without_a_prediction_are_hatched():
    modality = np.where(np.arange(100) < 50, "audiovisual", "none")
    table = table_at(TIMES_S, modality=modality, valence_uncertainty=np.full(100, np.nan))
    faces = align_tables([table], TIMES_S)
    rgb = draw_page(LAYOUT, page_of(0.0, TIMES_S), faces, TIMES_S)
    chart, top = LAYOUT.valence, LAYOUT.curves.top
    y = round(float(value_y(np.array([0.5]), chart)[0])) - top
    x = chart.left + chart.width // 4
    column = rgb[y - 1 : y + 2, x].max(axis=0)
    assert column[2] > 150
    part = rgb[chart.top - top : chart.bottom - top]
    hatched = (part == palette.HATCH).all(axis=2).sum(axis=0)
    assert hatched[chart.left + chart.width // 2 + 4 : chart.right - 4].min() > 0
    assert hatched[chart.left : chart.left + chart.width // 2 - 4].max() == 0


def test_lanes_show_when_face_and_voice_are_used():
    modality = np.where(np.arange(100) < 50, "visual", "audio")
    faces = align_tables([table_at(TIMES_S, modality=modality)], TIMES_S)
    rgb = draw_page(LAYOUT, page_of(0.0, TIMES_S), faces, TIMES_S)
    for lane, is_first_half in ((LAYOUT.face_lane, True), (LAYOUT.voice_lane, False)):
        bar = rgb[lane.top - LAYOUT.curves.top + lane.height // 2, lane.left : lane.right]
        filled = np.abs(bar.astype(int) - palette.face_colour(0)).max(axis=1) < 10
        half = lane.width // 2
        assert filled[: half - 4].all() == is_first_half
        assert filled[half + 4 : -8].all() != is_first_half


def test_a_short_recording_is_one_page_and_a_long_one_has_pages():
    assert page_of(2.0, TIMES_S) == Page(0.0, 3.96)
    long_s = np.arange(0, 200, 0.1) + 5
    assert page_of(5.0, long_s) == Page(5.0, 5 + PAGE_S)
    assert page_of(5 + 2.5 * PAGE_S, long_s) == Page(5 + 2 * PAGE_S, 5 + 3 * PAGE_S)


def test_the_charts_change_with_the_page():
    times_s = np.arange(0, 100, 0.2)
    faces = align_tables([table_at(times_s, valence=np.linspace(-1, 1, 500), box=BOX)], times_s)
    renderer = OverlayRenderer(LAYOUT, Subject(times_s, faces, *SIZE_PX), BT709)
    picture = Planes.filled(LAYOUT.picture.width, LAYOUT.picture.height, PICTURE)
    charts = []
    for row in (10, 300):
        canvas = Planes.filled(LAYOUT.width, LAYOUT.height, (0, 0, 0))
        renderer.draw(canvas, row, Picture(picture, row))
        charts.append(place(canvas, LAYOUT.valence).y.copy())
    assert np.abs(charts[0].astype(int) - charts[1]).mean() > 2


@pytest.mark.parametrize("times_s", [np.array([0.0]), np.array([0.5, 0.54])])
def test_very_short_recordings_are_drawn(times_s):
    faces = align_tables([table_at(times_s, box=BOX)], times_s)
    renderer = OverlayRenderer(LAYOUT, Subject(times_s, faces, *SIZE_PX), BT601)
    canvas = Planes.filled(LAYOUT.width, LAYOUT.height, (0, 0, 0))
    picture = Planes.filled(LAYOUT.picture.width, LAYOUT.picture.height, PICTURE)
    renderer.draw(canvas, 0, Picture(picture, 0))
    assert close(pixel(canvas, *(value + 1 for value in scaled(200, 200))), palette.face_colour(0))


@pytest.mark.parametrize(
    ("time_s", "decimals", "text"),
    [(0, 2, "0:00.00"), (75.256, 2, "1:15.26"), (3725.5, 2, "1:02:05.50"), (59.999, 2, "1:00.00")],
)
def test_times_are_written_as_clocks(time_s, decimals, text):
    assert clock_text(time_s, decimals) == text


@pytest.mark.parametrize(("time_s", "text"), [(0, "0:00"), (0.5, "0:00.5"), (65, "1:05"), (3600, "1:00:00")])
def test_times_below_the_charts_are_short(time_s, text):
    assert clock_text(time_s, 0) == text


def test_values_have_a_sign_and_their_uncertainty():
    assert value_text(0.314, 0.2) == "+0.31 ±0.20"
    assert value_text(-0.5, float("nan")) == "-0.50"
