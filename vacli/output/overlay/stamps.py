"""Small shapes and texts that are blended into planes of luma and chroma."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vacli.media.yuv import Planes

Colour = tuple[int, int, int]  # (y, u, v)
Weights = tuple[np.ndarray, np.ndarray]  # of the background, and the part that is added
OPAQUE = 256
SUPERSAMPLING = 4  # of shapes
FILL_OPACITY, EDGE_OPACITY = 0.22, 0.7  # of an ellipse


@dataclass(frozen=True, eq=False)
class Layer:
    """alpha: (H, W) float, 0 transparent to 1 opaque, of one colour."""

    alpha: np.ndarray
    colour: Colour


class Stamp:
    """A shape, drawn at any pixel: layers of one size, the lowest first."""

    def __init__(self, *layers: Layer) -> None:
        self.height, self.width = layers[0].alpha.shape
        self._layers = layers
        self._phases: dict[tuple[int, int], list[Weights]] = {}

    def draw(self, target: Planes, x: int, y: int) -> None:
        """Blend the shape into `target` with its upper left pixel at (x, y), cut off at the edges."""
        phase = x & 1, y & 1
        if phase not in self._phases:
            self._phases[phase] = self._weights(*phase)
        luma, *chroma = self._phases[phase]
        _blend(target.y, luma, x - phase[0], y - phase[1])
        for plane, weights in zip((target.u, target.v), chroma, strict=True):
            _blend(plane, weights, x // 2, y // 2)

    def _weights(self, dx: int, dy: int) -> list[Weights]:
        """For each plane the weight of the background and the part of the colours, at one position."""
        size = [extent + extent % 2 for extent in (self.height + dy, self.width + dx)]
        background = [np.ones(size), *(np.ones([extent // 2 for extent in size]) for _ in "uv")]
        added = [np.zeros_like(plane) for plane in background]
        for layer in self._layers:
            alpha = np.zeros(size)
            alpha[dy : dy + self.height, dx : dx + self.width] = layer.alpha
            half = alpha.reshape(size[0] // 2, 2, size[1] // 2, 2).mean(axis=(1, 3))
            for plane, (weight, value) in enumerate(zip((alpha, half, half), layer.colour, strict=True)):
                background[plane] *= 1 - weight
                added[plane] = added[plane] * (1 - weight) + weight * value
        pairs = zip(background, added, strict=True)
        return [(_fixed(weight), _fixed(value)) for weight, value in pairs]


def _fixed(values: np.ndarray) -> np.ndarray:
    """In units of 1 / OPAQUE, so that products with pixels fit 16 bits."""
    return np.rint(values * OPAQUE).astype(np.uint16)


def _blend(plane: np.ndarray, weights: Weights, x: int, y: int) -> None:
    background, added = weights
    height, width = background.shape
    if x < 0 or y < 0 or x + width > plane.shape[1] or y + height > plane.shape[0]:
        left, top = max(x, 0), max(y, 0)
        right, bottom = min(x + width, plane.shape[1]), min(y + height, plane.shape[0])
        if left >= right or top >= bottom:
            return
        here = slice(top - y, bottom - y), slice(left - x, right - x)
        background, added, x, y = background[here], added[here], left, top
        height, width = background.shape
    part = plane[y : y + height, x : x + width]
    blended = part * background
    blended += added
    blended >>= 8
    part[:] = blended


class Trail:
    """Dots of one colour that fade, drawn in one pass over their pixels.

    size_px: even diameter. opacities: of the dots, the oldest first.
    """

    def __init__(self, size_px: int, colour: Colour, opacities: np.ndarray) -> None:
        self._opacities, self._colour = opacities, colour
        luma = _disc(size_px)
        half = luma.reshape(size_px // 2, 2, size_px // 2, 2).mean(axis=(1, 3))
        self._shapes = [_Shape.of(alpha) for alpha in (luma, half, half)]

    def draw(self, target: Planes, points: np.ndarray) -> None:
        """Draw dots around points (K, 2), x and y in pixels; they have the last K opacities."""
        opacities = self._opacities[len(self._opacities) - len(points) :, None]
        planes = zip((target.y, target.u, target.v), self._shapes, self._colour, (1, 2, 2), strict=True)
        for plane, shape, value, step in planes:
            middle = points // 2 * (2 // step)
            x, y, weight = middle[:, :1] + shape.x, middle[:, 1:] + shape.y, opacities * shape.alpha
            inside = (x >= 0) & (y >= 0) & (x < plane.shape[1]) & (y < plane.shape[0])
            x, y, weight = x[inside], y[inside], weight[inside]
            plane[y, x] = plane[y, x] * (1 - weight) + weight * value + 0.5


@dataclass(frozen=True, eq=False)
class _Shape:
    """x, y: (1, P) offsets of the pixels of a dot from its middle. alpha: (1, P)."""

    x: np.ndarray
    y: np.ndarray
    alpha: np.ndarray

    @classmethod
    def of(cls, alpha: np.ndarray) -> _Shape:
        y, x = np.nonzero(alpha)
        height, width = alpha.shape
        return cls(x[None] - width // 2, y[None] - height // 2, alpha[y, x][None].astype(np.float32))


@lru_cache
def font(size_px: int) -> ImageFont.FreeTypeFont:
    """The font of all texts: that of Pillow."""
    return ImageFont.load_default(size_px)  # type: ignore[return-value]


@lru_cache(maxsize=512)
def text_tile(text: str, size_px: int, colour: Colour, ground: Colour) -> Planes:
    """A text on a ground of one colour; its height does not depend on the text."""
    face = font(size_px)
    width, height = (2 * math.ceil(extent / 2) for extent in (face.getlength(text) + 1, 1.3 * size_px))
    image = Image.new("L", (width, height))
    ImageDraw.Draw(image).text((0, size_px), text, 255, font=face, anchor="ls")
    tile = Planes.filled(width, height, ground)
    Stamp(Layer(np.asarray(image) / 255, colour)).draw(tile, 0, 0)
    return tile


def put_tile(target: Planes, tile: Planes, x: int, y: int) -> None:
    """Copy a tile to an even position within the target, cut off at its right and lower edge."""
    height, width = target.y.shape
    x, y = max(x, 0) // 2 * 2, max(y, 0) // 2 * 2
    if x >= width or y >= height:
        return
    shown = min(tile.y.shape[1], width - x), min(tile.y.shape[0], height - y)
    target.view(x, y, *shown).copy_from(tile.view(0, 0, *shown))


@lru_cache(maxsize=128)  # in a video of 4K each takes about a megabyte
def ellipse_stamp(width: int, height: int, colour: Colour) -> Stamp:
    """A transparent ellipse with an edge."""
    size = width * SUPERSAMPLING, height * SUPERSAMPLING
    image = Image.new("L", size)
    ImageDraw.Draw(image).ellipse(
        (0, 0, size[0] - 1, size[1] - 1), round(255 * FILL_OPACITY), round(255 * EDGE_OPACITY), SUPERSAMPLING
    )
    return Stamp(Layer(np.asarray(image.reduce(SUPERSAMPLING)) / 255, colour))


@lru_cache
def ringed_dot(size_px: int, ring_px: int, colour: Colour, ring: Colour) -> Stamp:
    """A dot with a ring around it; size_px and ring_px are even."""
    dot = np.pad(_disc(size_px), ring_px)
    return Stamp(Layer(_disc(size_px + 2 * ring_px), ring), Layer(dot, colour))


def _disc(size_px: int) -> np.ndarray:
    """(size_px, size_px) float: the opacity of a disc."""
    edge = size_px * SUPERSAMPLING
    image = Image.new("L", (edge, edge))
    ImageDraw.Draw(image).ellipse((0, 0, edge - 1, edge - 1), 255)
    return np.asarray(image.reduce(SUPERSAMPLING)) / 255


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
