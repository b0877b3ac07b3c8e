"""Colours of an overlay, in RGB: on a dark ground, distinct for colour-blind readers (Okabe and Ito 2008)."""

from __future__ import annotations

RGB = tuple[int, int, int]

FACES: tuple[RGB, ...] = (
    (86, 180, 233),  # sky blue
    (230, 159, 0),  # orange
    (0, 190, 140),  # bluish green, lighter than the original, which is for a white ground
    (240, 228, 66),  # yellow
    (204, 121, 167),  # reddish purple
    (213, 94, 0),  # vermilion
)
GROUND: RGB = (22, 24, 29)
CHART: RGB = (34, 37, 44)
GRID: RGB = (74, 79, 90)
HATCH: RGB = (62, 66, 76)
TEXT: RGB = (236, 238, 242)
DIM_TEXT: RGB = (160, 166, 178)
CURSOR: RGB = (255, 255, 255)
NO_PREDICTION: RGB = (140, 144, 152)  # of a face whose modality is none


def face_colour(index: int) -> RGB:
    """The colour of a face by its place in the list of faces."""
    return FACES[index % len(FACES)]
