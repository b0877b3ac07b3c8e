"""The parts of an overlay that stay the same for many frames: charts over time, and the empty plane.

Up to WHOLE_S of a recording are on one page of the charts, a longer one has pages of PAGE_S. The cursor
moves over a page, which is drawn once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from vacli.output.overlay import palette
from vacli.output.overlay.curves import AUDIO, DIMENSIONS, VISUAL, FaceCurves
from vacli.output.overlay.layout import Box, Layout
from vacli.output.overlay.stamps import font

WHOLE_S, PAGE_S = 60.0, 30.0
SCALE = 2  # supersampling
LINE_PX = 1.5  # least width of a curve
BAND_OPACITY = 60  # of 255
TICK_STEPS_S = (0.5, 1, 2, 5, 10, 15, 30, 60)
MIN_TICK_TEXTS = 5  # distance of two times below the charts, in text sizes
SHORTEST_PAGE_S = 0.5


@dataclass(frozen=True)
class Page:
    """A span of the recording that the charts show."""

    start_s: float
    end_s: float

    def x(self, times_s: np.ndarray | float, chart: Box) -> np.ndarray:
        """Horizontal positions in the overlay."""
        fraction = (np.asarray(times_s) - self.start_s) / (self.end_s - self.start_s)
        return chart.left + fraction * (chart.width - 1)


def page_of(time_s: float, times_s: np.ndarray) -> Page:
    """The page on which a time lies. times_s: (N,) those of all frames."""
    start_s, length_s = float(times_s[0]), max(float(times_s[-1] - times_s[0]), SHORTEST_PAGE_S)
    if length_s <= WHOLE_S:
        return Page(start_s, start_s + length_s)
    page_start_s = start_s + PAGE_S * math.floor((time_s - start_s) / PAGE_S)
    return Page(page_start_s, page_start_s + PAGE_S)


def value_y(values: np.ndarray, chart: Box) -> np.ndarray:
    """Vertical positions of values from -1 to 1."""
    return chart.top + (1 - np.clip(values, -1, 1)) / 2 * (chart.height - 1)


def draw_ground(layout: Layout) -> np.ndarray:
    """The overlay without picture and charts, with the empty plane: (H, W, 3) uint8."""
    canvas = _Canvas(Box(0, 0, layout.width, layout.height))
    plane, text_px = layout.plane, layout.text_px
    canvas.rectangle(plane, palette.CHART)
    for radius in (0.5, 1.0):
        canvas.circle(plane, radius, palette.GRID)
    x, y = plane.left + plane.width / 2, plane.top + plane.height / 2
    canvas.line([(plane.left, y), (plane.right, y)], palette.GRID, 1)
    canvas.line([(x, plane.top), (x, plane.bottom)], palette.GRID, 1)
    small = max(9, round(0.8 * text_px))
    canvas.text((plane.right - 2, y - 2), "valence", small, "rb")
    canvas.text((x + 3, plane.top + 1), "arousal", small, "la")
    return canvas.rgb()


def draw_page(layout: Layout, page: Page, faces: Sequence[FaceCurves], times_s: np.ndarray) -> np.ndarray:
    """The charts of one page: (H, W, 3) uint8 of the place `layout.curves`."""
    canvas = _Canvas(layout.curves)
    shown = np.flatnonzero((times_s >= page.start_s) & (times_s <= page.end_s))
    for dimension, chart in enumerate((layout.valence, layout.arousal)):
        canvas.rectangle(chart, palette.CHART)
        _hatch(canvas, chart, page, _unpredicted_spans(faces, times_s, shown))
        middle = float(value_y(np.zeros(1), chart)[0])
        canvas.line([(chart.left, middle), (chart.right, middle)], palette.GRID, 1)
        for index, face in enumerate(faces):
            _draw_curve(canvas, chart, page, _part(face, times_s, shown, dimension), _Pen.of(index, layout))
        canvas.text((chart.left - 4, middle), DIMENSIONS[dimension], layout.text_px, "rm")
    for name, lane, modalities in (("face", layout.face_lane, VISUAL), ("voice", layout.voice_lane, AUDIO)):
        _draw_lane(canvas, lane, page, times_s, [face.uses(modalities) for face in faces])
        canvas.text((lane.left - 4, lane.top + lane.height / 2), name, layout.text_px, "rm")
    for time_s in _ticks(page, layout):
        x = float(page.x(time_s, layout.valence))
        canvas.text((x, layout.voice_lane.bottom + 2), clock_text(time_s, 0), layout.text_px, "ma")
    return canvas.rgb()


def clock_text(time_s: float, decimals: int = 2) -> str:
    """Minutes and seconds, hours if there are any; half seconds keep a decimal."""
    if decimals == 0 and time_s % 1:
        decimals = 1
    whole = round(time_s, decimals)
    minutes, seconds = divmod(whole, 60)
    hours, minutes = divmod(int(minutes), 60)
    start = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{start}:{seconds:0{3 + decimals if decimals else 2}.{decimals}f}"


@dataclass(frozen=True, eq=False)
class _Curve:
    """times_s, values, uncertainty: (K,) of one face and dimension; values are NaN where there is none."""

    times_s: np.ndarray
    values: np.ndarray
    uncertainty: np.ndarray


@dataclass(frozen=True)
class _Pen:
    colour: palette.RGB
    width_px: float

    @classmethod
    def of(cls, index: int, layout: Layout) -> _Pen:
        """The pen for the face of this place in the list of faces."""
        return cls(palette.face_colour(index), max(LINE_PX, 0.6 * layout.line_px))


def _part(face: FaceCurves, times_s: np.ndarray, shown: np.ndarray, dimension: int) -> _Curve:
    values = np.where(face.is_valid[shown], face.values[shown, dimension], np.nan)
    return _Curve(times_s[shown], values, face.uncertainty[shown, dimension])


def _draw_curve(canvas: _Canvas, chart: Box, page: Page, curve: _Curve, pen: _Pen) -> None:
    for span in _runs(np.isfinite(curve.values)):
        x = page.x(curve.times_s[span], chart)
        values, error = curve.values[span], np.nan_to_num(curve.uncertainty[span])
        high, low = value_y(values + error, chart), value_y(values - error, chart)
        if error.any():
            edge = [*zip(x, high, strict=True), *zip(x[::-1], low[::-1], strict=True)]
            canvas.polygon(edge, (*pen.colour, BAND_OPACITY))
        canvas.line(list(zip(x, value_y(values, chart), strict=True)), pen.colour, pen.width_px)


def _draw_lane(canvas: _Canvas, lane: Box, page: Page, times_s: np.ndarray, used: list[np.ndarray]) -> None:
    """A bar with a row for each face, filled where the stream is used."""
    canvas.rectangle(lane, palette.CHART)
    row_px = lane.height / max(len(used), 1)
    for index, flags in enumerate(used):
        top = lane.top + index * row_px
        for span in _runs(flags):
            start, end = page.x(np.array(_edges(times_s, span)), lane)
            if end > lane.left and start < lane.right:
                box = (max(start, lane.left), top, min(end, lane.right), top + row_px)
                canvas.fill(box, palette.face_colour(index))


def _hatch(canvas: _Canvas, chart: Box, page: Page, spans: list[tuple[float, float]]) -> None:
    for span in spans:
        start, end = page.x(np.array(span), chart).clip(chart.left, chart.right)
        canvas.hatch((float(start), chart.top, float(end), chart.bottom), palette.HATCH)


def _unpredicted_spans(
    faces: Sequence[FaceCurves], times_s: np.ndarray, shown: np.ndarray
) -> list[tuple[float, float]]:
    """Start and end in seconds of each run of frames without a prediction for any face."""
    is_valid = np.any([face.is_valid for face in faces], axis=0)
    missing = np.zeros(len(times_s), bool)
    missing[shown] = ~is_valid[shown]
    return [_edges(times_s, span) for span in _runs(missing)]


def _edges(times_s: np.ndarray, span: slice) -> tuple[float, float]:
    """When the first frame of a span begins, and when its last one ends."""
    end = min(span.stop, len(times_s) - 1)
    return float(times_s[span.start]), float(times_s[end])


def _runs(flags: np.ndarray) -> Iterator[slice]:
    """The runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    yield from (slice(int(a), int(b)) for a, b in edges.reshape(-1, 2))


def _ticks(page: Page, layout: Layout) -> Iterator[float]:
    """Times below the charts, in seconds."""
    room = layout.valence.width / (MIN_TICK_TEXTS * layout.text_px)
    length_s = page.end_s - page.start_s
    step_s = next((step for step in TICK_STEPS_S if length_s / step <= room), TICK_STEPS_S[-1])
    number = math.ceil(page.start_s / step_s)
    while number * step_s <= page.end_s:
        yield number * step_s
        number += 1


class _Canvas:
    """A place of the overlay, drawn at SCALE times its size. Positions are those of the overlay."""

    def __init__(self, place: Box) -> None:
        self._place = place
        size = place.width * SCALE, place.height * SCALE
        self._image = Image.new("RGB", size, palette.GROUND)
        self._draw = ImageDraw.Draw(self._image, "RGBA")
        self._texts: list[tuple[tuple[float, float], str, int, str]] = []

    def rgb(self) -> np.ndarray:
        """(H, W, 3) uint8 at the size of the place; texts are drawn at this size, where they are sharpest."""
        image = self._image.reduce(SCALE)
        draw = ImageDraw.Draw(image)
        for at, text, size_px, anchor in self._texts:
            x, y = at[0] - self._place.left, at[1] - self._place.top
            half = draw.textlength(text, font=font(size_px)) / 2
            if anchor[0] == "m":
                x = min(max(x, half), self._place.width - half)
            draw.text((x, y), text, palette.DIM_TEXT, font=font(size_px), anchor=anchor)
        return np.asarray(image)

    def text(self, at: tuple[float, float], text: str, size_px: int, anchor: str) -> None:
        self._texts.append((at, text, size_px, anchor))

    def rectangle(self, box: Box, colour: palette.RGB) -> None:
        self.fill((box.left, box.top, box.right, box.bottom), colour)

    def fill(self, box: tuple[float, float, float, float], colour: palette.RGB) -> None:
        left, top = self._at(box[:2])
        right, bottom = self._at(box[2:])
        self._draw.rectangle((left, top, max(right - 1, left), max(bottom - 1, top)), colour)

    def hatch(self, box: tuple[float, float, float, float], colour: palette.RGB) -> None:
        """Fill a box with diagonal lines."""
        left, top = (round(value) for value in self._at(box[:2]))
        right, bottom = (round(value) for value in self._at(box[2:]))
        if right <= left or bottom <= top:
            return
        y, x = np.mgrid[top:bottom, left:right]
        mask = Image.fromarray(np.where((x + y) % (6 * SCALE) < 2 * SCALE, 255, 0).astype(np.uint8))
        self._image.paste(colour, (left, top), mask)

    def circle(self, box: Box, radius: float, colour: palette.RGB) -> None:
        """A circle around the middle of a box; radius: as a fraction of half the box."""
        x, y = box.left + box.width / 2, box.top + box.height / 2
        dx, dy = radius * box.width / 2, radius * box.height / 2
        corners = (*self._at((x - dx, y - dy)), *self._at((x + dx - 1, y + dy - 1)))
        self._draw.ellipse(corners, outline=colour, width=SCALE)

    def line(self, points: list[tuple[float, float]], colour: palette.RGB, width: float) -> None:
        at = [self._at(point) for point in points]
        if len(at) == 1:
            (x, y), radius = at[0], width * SCALE
            self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), colour)
            return
        self._draw.line(at, colour, max(1, round(width * SCALE)), "curve")

    def polygon(self, points: list[tuple[float, float]], colour: tuple[int, int, int, int]) -> None:
        if len(points) > 2:
            self._draw.polygon([self._at(point) for point in points], colour)

    def _at(self, point: tuple[float, ...]) -> tuple[float, float]:
        return (point[0] - self._place.left) * SCALE, (point[1] - self._place.top) * SCALE
