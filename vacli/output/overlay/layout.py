"""Where the parts of an overlay lie: the picture, the plane and the values beside it, the curves below."""

from __future__ import annotations

from dataclasses import dataclass

PICTURE_FRACTION = 0.7  # of the width and of the height
SMALL_PICTURE_FRACTION = 0.64  # text cannot shrink with a small picture
SMALL_PX = 400
MIN_SHORT_SIDE_PX = 240  # of an overlay: below it no text is readable
MAX_SIDE_PX = 8192  # encoders and players take no much larger ones
TEXT_FRACTION = 1 / 40  # of the shorter side
MIN_TEXT_PX = 9
LABEL_TEXTS = 4.4  # width of the labels left of the curves, in text sizes
PLANE_FRACTION = 0.55  # of the height of the place beside the picture, if the values are below the plane
TIME_TEXTS = 1.4  # height of the times below the lanes, in text sizes
VALUES_TEXTS = 8.6  # width of "V +0.31 ± 0.20" in text sizes
TIME_LINE_TEXTS = 1.5  # height of the time above the values
LINE_TEXTS = 1.25  # height of a line, in text sizes
BLOCK_TEXTS = 5.4  # height of the four lines of one face


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels; all four numbers are even, because chroma has half the size."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first column after it."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """The first row below it."""
        return self.top + self.height


@dataclass(frozen=True)
class Layout:
    """Places of all parts.

    curves: the part below, with both charts, lanes and times. valence, arousal: charts. face_lane,
    voice_lane: bars that show what a prediction is based on. text_px: size of the text. line_px: even width
    of lines.
    """

    width: int
    height: int
    picture: Box
    plane: Box
    values: Box
    curves: Box
    valence: Box
    arousal: Box
    face_lane: Box
    voice_lane: Box
    text_px: int
    line_px: int

    @property
    def value_places(self) -> list[tuple[int, int]]:
        """Left and top of the values of each face for which there is room, row by row."""
        left, top = self.values.left, self.values.top + round(TIME_LINE_TEXTS * self.text_px)
        width, height = VALUES_TEXTS * self.text_px, BLOCK_TEXTS * self.text_px
        columns = max(1, int(self.values.width / width))
        rows = max(1, int((self.values.bottom - top) / height))
        return [
            (left + round(column * self.values.width / columns), top + round(row * height))
            for row in range(rows)
            for column in range(columns)
        ]


def overlay_size(width_px: int, height_px: int, wanted_width_px: int | None = None) -> tuple[int, int]:
    """The even size of an overlay: that of the video, or of `wanted_width_px`; larger for a tiny video.

    It is smaller for a very large one. Raises ValueError for one that is too long and narrow for both limits.
    """
    scale = wanted_width_px / width_px if wanted_width_px else 1.0
    least, most = MIN_SHORT_SIDE_PX / min(width_px, height_px), MAX_SIDE_PX / max(width_px, height_px)
    if least > most:
        raise ValueError(
            f"pictures of {width_px} x {height_px} pixels are too long and narrow for an overlay"
        )
    scale = min(max(scale, least), most)
    return _even(width_px * scale), _even(height_px * scale)


def make_layout(width: int, height: int) -> Layout:
    """Arrange the parts in an overlay of even size."""
    short = min(width, height)
    fraction = PICTURE_FRACTION if short >= SMALL_PX else SMALL_PICTURE_FRACTION
    picture = Box(0, 0, _even(width * fraction), _even(height * fraction))
    margin = max(4, _even(short / 60))
    column = width - picture.width - 2 * margin
    text_px = max(MIN_TEXT_PX, min(round(short * TEXT_FRACTION), int(column / VALUES_TEXTS)))
    plane, values = _plane_and_values(
        Box(picture.right + margin, margin, _even(column), picture.height - margin), text_px
    )
    curves = Box(0, picture.height, width, height - picture.height)
    charts = _charts(curves, margin, text_px)
    return Layout(width, height, picture, plane, values, curves, *charts, text_px, max(2, _even(short / 220)))


def _plane_and_values(place: Box, text_px: int) -> tuple[Box, Box]:
    """The plane with the values below it, or beside it where the place is wide."""
    gap, values_width = _even(0.6 * text_px), _even(VALUES_TEXTS * text_px)
    beside = min(place.width - values_width - gap, place.height)
    below = min(place.width, _even(PLANE_FRACTION * place.height))
    if beside >= below:
        plane = Box(place.left, place.top, beside, beside)
        return plane, Box(plane.right + gap, place.top, place.width - plane.width - gap, place.height)
    plane = Box(place.left + _even((place.width - below) / 2), place.top, below, below)
    top = plane.bottom + gap
    return plane, Box(place.left, top, place.width, place.bottom - top)


def _charts(curves: Box, margin: int, text_px: int) -> tuple[Box, Box, Box, Box]:
    """Valence, arousal, and the lanes of face and voice."""
    left = margin + _even(LABEL_TEXTS * text_px)
    width = curves.width - left - margin
    gap, pitch, lane = max(2, _even(text_px / 4)), _even(1.1 * text_px), max(4, _even(0.6 * text_px))
    below = 2 * gap + 2 * pitch + _even(TIME_TEXTS * text_px)
    height = 2 * int((curves.height - margin - below) / 4)
    valence = Box(left, curves.top + margin, width, height)
    arousal = Box(left, valence.bottom + gap, width, height)
    face = Box(left, arousal.bottom + gap, width, lane)
    voice = Box(left, face.top + pitch, width, lane)
    return valence, arousal, face, voice


def _even(value: float) -> int:
    return 2 * max(0, round(value / 2))
