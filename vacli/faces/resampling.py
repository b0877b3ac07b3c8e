"""Bilinear resampling and warping of pictures as compiled loops, several times faster than Pillow.

Pixel (0, 0) has its centre at 0.5, 0.5. `resample_reference` and `warp_affine_reference` are the plain
versions in NumPy.
"""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple

import numpy as np

from vacli.runtime.jit import compiled

F32, I32 = np.float32, np.int32
HALF, ONE = F32(0.5), F32(1.0)
# Unsigned indices spare the loops a test for negative ones.
NONE_ON, ONE_ON, TWO_ON, THREE_ON = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(3)


class Grid(NamedTuple):
    """An output of rows x columns pixels, `step` px apart; the first one has its corner at (left, top)."""

    left: float
    top: float
    step: float
    rows: int
    columns: int


def _picture(types: ModuleType) -> object:
    return types.Array(types.uint8, 3, "C", readonly=True)


def _warp_signature(types: ModuleType) -> object:
    return types.void(_picture(types), types.float32[:, ::1], types.uint8[:, :, ::1])


@compiled(nogil=True, fastmath=True)
def _taps(start: np.float32, step: np.float32, size: int, first: np.ndarray, weights: np.ndarray) -> None:
    """Compute the filter of each output pixel along an axis of `size` px.

    first (S,): its first input pixel. weights (S, K): of that and the following pixels, a triangle as wide as
    a step, but at least as wide as a pixel; 0 outside the picture.
    """
    widen = max(step, ONE)
    for i in range(len(first)):
        centre = start + (i + HALF) * step - HALF
        first[i] = np.int64(np.ceil(centre - widen))
        total = F32(0)
        for k in range(weights.shape[1]):
            weights[i, k] = max(ONE - abs(F32(first[i] + k) - centre) / widen, F32(0))
            total += weights[i, k]
        for k in range(weights.shape[1]):
            is_inside = 0 <= first[i] + k < size
            weights[i, k] = weights[i, k] / total if is_inside else F32(0)


def _resample_signature(types: ModuleType) -> object:
    numbers = (types.float32, types.float32, types.float32, types.float32[::1], types.int64)
    return types.void(_picture(types), *numbers, types.float32[:, :, ::1])


@compiled(_resample_signature, nogil=True, fastmath=True)
def _resample(
    rgb: np.ndarray,
    left: np.float32,
    top: np.float32,
    step: np.float32,
    mean: np.ndarray,
    at_red: int,
    out: np.ndarray,
) -> None:
    height, width = rgb.shape[:2]
    pixels = rgb.reshape(-1)
    reach = np.int64(np.ceil(2 * max(step, ONE))) + 1
    above, down = np.empty(out.shape[1], np.int64), np.empty((out.shape[1], reach), F32)
    before, across = np.empty(out.shape[2], np.int64), np.empty((out.shape[2], reach), F32)
    _taps(top, step, height, above, down)
    _taps(left, step, width, before, across)
    low = min(max(before[0], 0), width) * 3
    high = min(max(before[-1] + reach, 0), width) * 3
    means = np.empty(high - low, F32)
    for i in range(high - low):
        means[i] = mean[(low + i) % 3]
    line = np.zeros((width + 2 * reach) * 3, F32)  # a row of the picture minus the mean, zero-padded
    inner = line[reach * 3 + low : reach * 3 + high]
    start = np.empty(len(before), np.uint64)
    for i in range(len(before)):
        start[i] = (min(max(before[i], -reach), width) + reach) * 3
    for row in range(out.shape[1]):
        inner[:] = 0
        for k in range(reach):
            weight = down[row, k]
            if weight != 0:
                at = (above[row] + k) * width * 3
                source = pixels[at + low : at + high]  # slices start at index 0, so the loop vectorises
                for i in range(len(inner)):
                    inner[i] += weight * (source[i] - means[i])
        reds, greens, blues = out[at_red, row], out[1, row], out[2 - at_red, row]
        for i in range(len(reds)):
            here = start[i]
            red, green, blue = F32(0), F32(0), F32(0)
            for k in range(reach):
                weight = across[i, k]
                red += weight * line[here]
                green += weight * line[here + ONE_ON]
                blue += weight * line[here + TWO_ON]
                here += THREE_ON
            reds[i], greens[i], blues[i] = red, green, blue


def resample(rgb: np.ndarray, grid: Grid, mean: np.ndarray, blue_first: bool = False) -> np.ndarray:
    """Resample (H, W, 3) uint8 to (3, rows, columns) float32 minus `mean` (3,) RGB; 0 outside the picture.

    Bilinear. A step above 1 widens the filter, which removes detail finer than the output.
    """
    out = np.empty((3, grid.rows, grid.columns), F32)
    rgb, at_red = np.ascontiguousarray(rgb), 2 if blue_first else 0
    _resample(rgb, grid.left, grid.top, grid.step, mean.astype(F32), at_red, out)
    return out


def resample_reference(rgb: np.ndarray, grid: Grid, mean: np.ndarray, blue_first: bool = False) -> np.ndarray:
    """Compute `resample` as two products with weight matrices; the tests compare the two."""
    down = _weight_matrix(grid.top, grid.step, rgb.shape[0], grid.rows)
    across = _weight_matrix(grid.left, grid.step, rgb.shape[1], grid.columns)
    planes = (rgb - mean).transpose(2, 0, 1)
    out = (down @ planes @ across.T).astype(F32)
    return out[::-1] if blue_first else out


def _weight_matrix(start: float, step: float, size: int, count: int) -> np.ndarray:
    """Return the filter weights (count, size) of an axis, without those of pixels outside the picture."""
    radius = max(step, 1.0)
    matrix = np.zeros((count, size))
    for i in range(count):
        centre = start + (i + 0.5) * step - 0.5
        taps = np.arange(np.ceil(centre - radius), np.floor(centre + radius) + 1).astype(int)
        weights = 1 - np.abs(taps - centre) / radius
        weights /= weights.sum()
        is_inside = (taps >= 0) & (taps < size)
        matrix[i, taps[is_inside]] = weights[is_inside]
    return matrix


@compiled(_warp_signature, nogil=True, fastmath=True)
def warp_affine(rgb: np.ndarray, matrix: np.ndarray, out: np.ndarray) -> None:
    """Warp a picture: out (S, S, 3) uint8 at (x, y) is `rgb` (H, W, 3) uint8 at matrix @ (x, y, 1).

    matrix: (2, 3) float32. Bilinear, without an antialiasing filter; black outside the picture.
    """
    height, width = rgb.shape[:2]
    pixels, a_row = rgb.reshape(-1), np.uint64(width * 3)
    for row in range(out.shape[0]):
        line, down = out[row], row + HALF
        x_start = matrix[0, 0] * HALF + matrix[0, 1] * down + matrix[0, 2] - HALF
        y_start = matrix[1, 0] * HALF + matrix[1, 1] * down + matrix[1, 2] - HALF
        for column in range(out.shape[1]):
            x, y = x_start + matrix[0, 0] * column, y_start + matrix[1, 0] * column
            if -HALF <= x <= width - HALF and -HALF <= y <= height - HALF:
                # Beyond the outermost pixel centres the value of the edge pixel is used.
                x, y = min(max(x, F32(0)), F32(width - 1)), min(max(y, F32(0)), F32(height - 1))
                left, top = np.int64(x), np.int64(y)
                p, q = x - left, y - top
                both = p * q
                upper_left, upper_right, lower_left = ONE - p - q + both, p - both, q - both
                at = np.uint64((top * width + left) * 3)
                right = THREE_ON if left < width - 1 else NONE_ON
                below = at + (a_row if top < height - 1 else NONE_ON)
                for c in range(3):
                    upper = upper_left * pixels[at] + upper_right * pixels[at + right]
                    lower = lower_left * pixels[below] + both * pixels[below + right]
                    line[column, c] = np.uint8(upper + lower + HALF)
                    at += ONE_ON
                    below += ONE_ON
            else:
                line[column, 0] = line[column, 1] = line[column, 2] = 0


FRACTION_BITS, WEIGHT_BITS = 20, I32(11)
FRACTION_ONE, WEIGHT_ONE, WEIGHT_HALF = np.int64(1 << 20), I32(1 << 11), I32(1 << 10)


@compiled(_warp_signature, nogil=True)
def warp_affine_interior(rgb: np.ndarray, matrix: np.ndarray, out: np.ndarray) -> None:
    """Compute `warp_affine` for samples that are all interior (`is_interior`).

    It uses fixed-point arithmetic and no tests, is three times faster, and differs by one grey level at most.
    """
    pixels, a_row = rgb.reshape(-1), np.uint64(rgb.shape[1] * 3)
    x_step, y_step = np.int64(matrix[0, 0] * FRACTION_ONE), np.int64(matrix[1, 0] * FRACTION_ONE)
    for row in range(out.shape[0]):
        line, down = out[row].reshape(-1), row + HALF
        x = np.int64((matrix[0, 0] * HALF + matrix[0, 1] * down + matrix[0, 2] - HALF) * FRACTION_ONE)
        y = np.int64((matrix[1, 0] * HALF + matrix[1, 1] * down + matrix[1, 2] - HALF) * FRACTION_ONE)
        for column in range(out.shape[1]):
            p = I32((x & (FRACTION_ONE - 1)) >> (FRACTION_BITS - WEIGHT_BITS))
            q = I32((y & (FRACTION_ONE - 1)) >> (FRACTION_BITS - WEIGHT_BITS))
            both = (p * q) >> WEIGHT_BITS
            upper_left, upper_right, lower_left = WEIGHT_ONE - p - q + both, p - both, q - both
            at = np.uint64(((y >> FRACTION_BITS) * rgb.shape[1] + (x >> FRACTION_BITS)) * 3)
            below, here = at + a_row, np.uint64(column * 3)
            for c in range(THREE_ON):
                upper = upper_left * I32(pixels[at + c]) + upper_right * I32(pixels[at + THREE_ON + c])
                lower = lower_left * I32(pixels[below + c]) + both * I32(pixels[below + THREE_ON + c])
                line[here + c] = np.uint8((upper + lower + WEIGHT_HALF) >> WEIGHT_BITS)
            x, y = x + x_step, y + y_step


def is_interior(matrix: np.ndarray, side: int, width: int, height: int) -> bool:
    """Return whether all side x side samples of `warp_affine`, with their neighbours, are in the picture."""
    ends = (0.5, side - 0.5)
    corners = np.array([(x, y, 1) for x in ends for y in ends]) @ matrix.T - 0.5
    margin = 0.01  # rounding errors of fixed-point arithmetic add up along a row
    return bool(
        corners.min() >= margin and (corners.max(0) < [width - 1 - margin, height - 1 - margin]).all()
    )


def warp_affine_reference(rgb: np.ndarray, matrix: np.ndarray, side: int) -> np.ndarray:
    """Compute `warp_affine` in plain NumPy, (side, side, 3) uint8; the tests compare the two."""
    height, width = rgb.shape[:2]
    rows, columns = np.mgrid[:side, :side] + 0.5
    x, y = np.einsum("ij,jrc->irc", matrix, np.stack([columns, rows, np.ones_like(rows)])) - 0.5
    is_inside = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    x, y = x.clip(0, width - 1), y.clip(0, height - 1)
    left, top = x.astype(int), y.astype(int)
    right, below = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    p, q = (x - left)[..., np.newaxis], (y - top)[..., np.newaxis]
    upper = (1 - p) * rgb[top, left] + p * rgb[top, right]
    lower = (1 - p) * rgb[below, left] + p * rgb[below, right]
    mixed = ((1 - q) * upper + q * lower + 0.5).astype(np.uint8)
    return np.where(is_inside[..., np.newaxis], mixed, np.uint8(0))
