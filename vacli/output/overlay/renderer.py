"""Draw the predictions of a recording on its pictures, frame by frame.

Most of a frame is drawn once for many frames (`charts`). Each frame adds the picture, boxes, the cursor, the
points of the plane and their trails, and the values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vacli.media.yuv import BLACK_LUMA, GREY_CHROMA, ColourMatrix, Planes, planes_of_rgb
from vacli.output.frame_table import NO_MODALITY
from vacli.output.overlay import palette
from vacli.output.overlay.charts import Page, clock_text, draw_ground, draw_page, page_of
from vacli.output.overlay.curves import FaceCurves
from vacli.output.overlay.face_hiding import BoxSpan, boxes_at, hide_faces
from vacli.output.overlay.layout import LINE_TEXTS, Box, Layout
from vacli.output.overlay.stamps import Trail, ellipse_stamp, fill, frame_box, put_tile, ringed_dot, text_tile

TRAIL_S = 1.5
TRAIL_POINTS = 12
TRAIL_OPACITIES = np.linspace(0.15, 0.75, TRAIL_POINTS)
TRAIL_AGES_S = np.linspace(TRAIL_S, 0, TRAIL_POINTS, endpoint=False)
MISSING_TEXT = "no picture"
NO_VALUE = "-"


@dataclass(frozen=True, eq=False)
class Subject:
    """The drawn recording: times_s (N,) of all frames, the faces, the upright size of the video in pixels.

    hidden: boxes of the faces to hide.
    """

    times_s: np.ndarray
    faces: Sequence[FaceCurves]
    width_px: int
    height_px: int
    hidden: Sequence[BoxSpan] = ()


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture of the size of `Layout.picture`, and the row of the frame that it was decoded from."""

    planes: Planes
    row: int


class OverlayRenderer:
    """Draws frames in ascending order."""

    def __init__(self, layout: Layout, subject: Subject, matrix: ColourMatrix) -> None:
        self._layout, self._subject, self._matrix = layout, subject, matrix
        self._ground = planes_of_rgb(draw_ground(layout), matrix)
        self._page: Page | None = None
        self._charts = self._ground  # until the first page is drawn
        self._colours = [matrix.yuv(palette.face_colour(index)) for index in range(len(subject.faces))]
        self._text, self._dim = matrix.yuv(palette.TEXT), matrix.yuv(palette.DIM_TEXT)
        self._grey, self._cursor = matrix.yuv(palette.NO_PREDICTION), matrix.yuv(palette.CURSOR)
        self._black, self._behind = matrix.yuv((0, 0, 0)), matrix.yuv(palette.GROUND)
        dot_px = _even(0.35 * layout.text_px)
        self._trails = [Trail(dot_px, colour, TRAIL_OPACITIES) for colour in self._colours]
        self._points = [_plane_points(face, layout.plane) for face in subject.faces]
        self._valid = [face.is_valid for face in subject.faces]
        self._scale = layout.picture.width / subject.width_px, layout.picture.height / subject.height_px

    def draw(self, canvas: Planes, row: int, picture: Picture) -> None:
        """Draw a frame; one that could not be decoded has the picture of an earlier row, or of row -1."""
        layout = self._layout
        self._draw_page(row)
        shown = _place(canvas, layout.picture)
        _place(canvas, self._right).copy_from(_place(self._ground, self._right))
        _place(canvas, layout.curves).copy_from(self._charts)
        shown.copy_from(picture.planes)
        if self._subject.hidden:
            hide_faces(shown, boxes_at(self._subject.hidden, picture.row) * np.tile(self._scale, 2))
        if picture.row != row:
            self._draw_missing(shown)
        for index, face in enumerate(self._subject.faces):
            self._draw_box(shown, index, face, row)
        self._draw_cursor(canvas, row)
        plane = _place(canvas, layout.plane)
        times_s = self._subject.times_s
        rows = np.searchsorted(times_s, times_s[row] - TRAIL_AGES_S, "right") - 1
        for trail, points in zip(self._trails, self._points, strict=True):
            past = points[rows[rows >= 0]]
            trail.draw(plane, past[past[:, 0] >= 0])
        for index, face in enumerate(self._subject.faces):
            self._draw_point(plane, index, face, row)
        self._draw_values(canvas, row)

    @property
    def _right(self) -> Box:
        """The place right of the picture."""
        picture = self._layout.picture
        return Box(picture.width, 0, self._layout.width - picture.width, picture.height)

    def _draw_page(self, row: int) -> None:
        times_s = self._subject.times_s
        page = page_of(float(times_s[row]), times_s)
        if page != self._page:
            self._page = page
            charts = draw_page(self._layout, page, self._subject.faces, times_s)
            self._charts = planes_of_rgb(charts, self._matrix)

    def _draw_missing(self, shown: Planes) -> None:
        """Darken the last picture, so that it is not taken for a picture of this frame."""
        shown.y[:] = BLACK_LUMA + (shown.y.clip(BLACK_LUMA) - BLACK_LUMA) // 2
        for plane in (shown.u, shown.v):
            plane[:] = (plane.astype(np.uint16) + GREY_CHROMA) // 2
        tile = text_tile(MISSING_TEXT, self._layout.text_px, self._text, self._behind)
        height, width = shown.y.shape
        put_tile(shown, tile, (width - tile.y.shape[1]) // 2, (height - tile.y.shape[0]) // 2)

    def _draw_box(self, shown: Planes, index: int, face: FaceCurves, row: int) -> None:
        box = face.boxes[row]
        if not np.isfinite(box).all():
            return
        across, down = self._scale
        left, right = (2 * round(float(x) * across / 2) for x in box[::2])
        top, bottom = (2 * round(float(y) * down / 2) for y in box[1::2])
        colour = self._colours[index] if self._valid[index][row] else self._grey
        frame_box(shown, (left, top, right, bottom), self._layout.line_px, colour)
        name = text_tile(f" {face.name} ", self._layout.text_px, self._black, colour)
        height = name.y.shape[0]
        put_tile(shown, name, left, top - height if top >= height else bottom)

    def _draw_cursor(self, canvas: Planes, row: int) -> None:
        assert self._page is not None
        chart, lane = self._layout.valence, self._layout.voice_lane
        x = round(float(self._page.x(self._subject.times_s[row], chart)) / 2) * 2
        width = max(2, self._layout.line_px // 4 * 2)
        x = min(x, chart.right - width)
        fill(canvas, x, chart.top, x + width, lane.bottom, self._cursor)

    def _draw_point(self, plane: Planes, index: int, face: FaceCurves, row: int) -> None:
        x, y = self._points[index][row].tolist()
        if x < 0:
            return
        colour = self._colours[index]
        side = self._layout.plane.width
        diameters = face.uncertainty[row] * side
        if np.isfinite(diameters).all():
            width, height = (_even(min(diameter, 2 * side)) for diameter in diameters.tolist())
            ellipse_stamp(width, height, colour).draw(plane, x - width // 2, y - height // 2)
        dot = ringed_dot(_even(0.6 * self._layout.text_px), 2, colour, self._cursor)
        dot.draw(plane, x - dot.width // 2, y - dot.height // 2)

    def _draw_values(self, canvas: Planes, row: int) -> None:
        values, text_px = self._layout.values, self._layout.text_px
        time = text_tile(clock_text(float(self._subject.times_s[row])), text_px, self._dim, self._behind)
        put_tile(canvas, time, values.left, values.top)
        faces, places = self._faces_with_values(row), self._layout.value_places
        for index, (x, y) in zip(faces, places, strict=False):
            self._draw_block(canvas, index, row, x, y)
        if len(faces) > len(places):
            more = text_tile(f"+{len(faces) - len(places)} more", text_px, self._dim, self._behind)
            put_tile(canvas, more, values.right - more.y.shape[1], values.top)

    def _faces_with_values(self, row: int) -> list[int]:
        """All faces if there is room for them, else those that are visible or predicted."""
        faces = self._subject.faces
        if len(faces) <= len(self._layout.value_places):
            return list(range(len(faces)))
        visible = [bool(self._valid[i][row]) or np.isfinite(f.boxes[row]).all() for i, f in enumerate(faces)]
        return [index for index, is_shown in enumerate(visible) if is_shown]

    def _draw_block(self, canvas: Planes, index: int, row: int, x: int, y: int) -> None:
        face, text_px = self._subject.faces[index], self._layout.text_px
        is_valid = bool(self._valid[index][row])
        texts = [NO_VALUE, NO_VALUE]
        if is_valid:
            pairs = zip(face.values[row].tolist(), face.uncertainty[row].tolist(), strict=True)
            texts = [value_text(*pair) for pair in pairs]
        text = self._text if is_valid else self._dim
        lines = (
            (face.name, self._colours[index] if is_valid else self._grey),
            (f"V {texts[0]}", text),
            (f"A {texts[1]}", text),
            (str(face.modality[row]) if is_valid else NO_MODALITY, self._dim),
        )
        for number, (line, colour) in enumerate(lines):
            tile = text_tile(line, text_px, colour, self._behind)
            put_tile(canvas, tile, x, y + round(LINE_TEXTS * number * text_px))


def value_text(value: float, uncertainty: float) -> str:
    """A value with its standard deviation, if that is known."""
    error = f" ±{uncertainty:.2f}" if math.isfinite(uncertainty) else ""
    return f"{value:+.2f}{error}"


def _plane_points(face: FaceCurves, plane: Box) -> np.ndarray:
    """(N, 2) pixels within the plane, -1 where there is no prediction."""
    x = (face.values[:, 0].clip(-1, 1) + 1) / 2 * (plane.width - 1)
    y = (1 - face.values[:, 1].clip(-1, 1)) / 2 * (plane.height - 1)
    points = np.stack([x, y], axis=1)
    return np.where(face.is_valid[:, None], np.nan_to_num(points).round(), -1).astype(int)


def _even(value: float) -> int:
    return max(4, 2 * round(value / 2))


def _place(planes: Planes, box: Box) -> Planes:
    return planes.view(box.left, box.top, box.width, box.height)
