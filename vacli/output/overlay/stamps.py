"""Small shapes and texts that are blended into planes of luma and chroma."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vacli.media.yuv import Planes

Colour = tuple[int, int, int]  # (y, u, v)
OPAQUE = 256
SUPERSAMPLING = 4  # of shapes


class Stamp:
    """A shape of one colour, drawn at any pixel.

    alpha: (H, W) float, 0 transparent to 1 opaque.
    """

    def __init__(self, alpha: np.ndarray, colour: Colour) -> None:
        self.height, self.width = alpha.shape
        self._alpha, self._colour = alpha, colour
        self._phases: dict[tuple[int, int], list[tuple[np.ndarray, np.ndarray]]] = {}

    def draw(self, target: Planes, x: int, y: int) -> None:
        """Blend the shape into `target` with its upper left pixel at (x, y); what lies outside is cut off."""
        phase = x & 1, y & 1
        if phase not in self._phases:
            self._phases[phase] = self._weights(*phase)
        luma, *chroma = self._phases[phase]
        _blend(target.y, luma, x - phase[0], y - phase[1])
        for plane, weights in zip((target.u, target.v), chroma, strict=True):
            _blend(plane, weights, x // 2, y // 2)

    def _weights(self, dx: int, dy: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each plane the weight of the background and the part of the colour, at one position."""
        height, width = (size + size % 2 for size in (self.height + dy, self.width + dx))
        alpha = np.zeros((height, width))
        alpha[dy : dy + self.height, dx : dx + self.width] = self._alpha
        half = alpha.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
        weights = [np.rint(a * OPAQUE).astype(np.uint16) for a in (alpha, half, half)]
        return [(OPAQUE - w, w * np.uint16(c)) for w, c in zip(weights, self._colour, strict=True)]


def _blend(plane: np.ndarray, weights: tuple[np.ndarray, np.ndarray], x: int, y: int) -> None:
    background, added = weights
    height, width = background.shape
    rows = slice(max(y, 0), min(y + height, plane.shape[0]))
    columns = slice(max(x, 0), min(x + width, plane.shape[1]))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    here = slice(rows.start - y, rows.stop - y), slice(columns.start - x, columns.stop - x)
    part = plane[rows, columns]
    part[:] = (part * background[here] + added[here]) >> 8


@lru_cache
def font(size_px: int) -> ImageFont.FreeTypeFont:
    """The font of all texts: that of Pillow."""
    return ImageFont.load_default(size_px)  # type: ignore[return-value]


@lru_cache(maxsize=4096)
def text_stamp(text: str, size_px: int, colour: Colour) -> Stamp:
    """A text; its height does not depend on the text."""
    face = font(size_px)
    width = max(1, round(face.getlength(text)))
    image = Image.new("L", (width, round(1.3 * size_px)))
    ImageDraw.Draw(image).text((0, size_px), text, 255, font=face, anchor="ls")
    return Stamp(np.asarray(image) / 255, colour)


@lru_cache(maxsize=4096)
def ellipse_stamp(width: int, height: int, colour: Colour, fill: float, outline: float = 0.0) -> Stamp:
    """An ellipse with the opacities of its inside and of its edge."""
    size = width * SUPERSAMPLING, height * SUPERSAMPLING
    image = Image.new("L", size)
    edge = round(255 * outline)
    ImageDraw.Draw(image).ellipse(
        (0, 0, size[0] - 1, size[1] - 1), round(255 * fill), edge, SUPERSAMPLING if outline else 0
    )
    return Stamp(np.asarray(image.reduce(SUPERSAMPLING)) / 255, colour)


def fill(target: Planes, left: int, top: int, right: int, bottom: int, colour: Colour) -> None:
    """Fill a rectangle, cut off at the edges of `target`, and widened to even numbers."""
    left, top = max(0, left) // 2, max(0, top) // 2
    right, bottom = max(left, (right + 1) // 2), max(top, (bottom + 1) // 2)
    y, u, v = colour
    target.y[2 * top : 2 * bottom, 2 * left : 2 * right] = y
    target.u[top:bottom, left:right] = u
    target.v[top:bottom, left:right] = v


def frame_box(target: Planes, box: tuple[int, int, int, int], line_px: int, colour: Colour) -> None:
    """Draw the edges of a box (left, top, right, bottom) inside it; line_px is even."""
    left, top, right, bottom = box
    fill(target, left, top, right, top + line_px, colour)
    fill(target, left, bottom - line_px, right, bottom, colour)
    fill(target, left, top, left + line_px, bottom, colour)
    fill(target, right - line_px, top, right, bottom, colour)
