"""Samples of pictures as compiled loops: a fraction of what general image libraries take.

Pixel (0, 0) has its centre at 0.5, 0.5.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vacli.runtime.jit import compiled

F32, I32 = np.float32, np.int32
HALF, ONE = F32(0.5), F32(1.0)
# Unsigned, for indices that need no test for being negative.
NONE_ON, ONE_ON, TWO_ON, THREE_ON = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(3)


class Grid(NamedTuple):
    """rows x columns output pixels, `step` px apart, the first of which has its corner at (left, top)."""

    left: float
    top: float
    step: float
    rows: int
    columns: int


def _picture(types):
    return types.Array(types.uint8, 3, "C", readonly=True)


def _warping(types):
    return types.void(_picture(types), types.float32[:, ::1], types.uint8[:, :, ::1])


@compiled(nogil=True, fastmath=True)
def _taps(start, step, size, first, weights):
    """Fill in, for each output pixel along an axis of `size` px, the first pixel that it sees and the weights
    (S, K) of that and the following ones: a triangle as wide as a step, but at least a pixel; 0 outside."""
    widen = max(step, ONE)
    for i in range(len(first)):
        centre = start + (i + HALF) * step - HALF
        first[i] = np.int64(np.ceil(centre - widen))
        total = F32(0)
        for k in range(weights.shape[1]):
            weights[i, k] = max(ONE - abs(F32(first[i] + k) - centre) / widen, F32(0))
            total += weights[i, k]
        for k in range(weights.shape[1]):
            inside = 0 <= first[i] + k < size
            weights[i, k] = weights[i, k] / total if inside else F32(0)


def _resampling(types):
    numbers = (types.float32, types.float32, types.float32, types.float32[::1], types.int64)
    return types.void(_picture(types), *numbers, types.float32[:, :, ::1])


@compiled(_resampling, nogil=True, fastmath=True)
def _resample(rgb, left, top, step, mean, at_red, out):
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
    line = np.zeros((width + 2 * reach) * 3, F32)  # a row of the picture, less the mean, zeros around it
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
                source = pixels[at + low : at + high]  # slices, since indices from 0 on become vector code
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


def resampled(rgb: np.ndarray, grid: Grid, mean: np.ndarray, blue_first: bool = False) -> np.ndarray:
    """(H, W, 3) uint8 to (3, rows, columns) float32 less `mean` (3,) RGB, which is also what lies outside.

    Bilinear; a step above 1 widens the filter, so that detail finer than the output becomes grey.
    """
    out = np.empty((3, grid.rows, grid.columns), F32)
    rgb, at_red = np.ascontiguousarray(rgb), 2 if blue_first else 0
    _resample(rgb, grid.left, grid.top, grid.step, mean.astype(F32), at_red, out)
    return out


@compiled(_warping, nogil=True, fastmath=True)
def similar(rgb, matrix, out):
    """out (S, S, 3) uint8 at (x, y) from `rgb` (H, W, 3) at matrix (2, 3) @ (x, y, 1), bilinear and
    without a filter; black outside."""
    height, width = rgb.shape[:2]
    pixels, a_row = rgb.reshape(-1), np.uint64(width * 3)
    for row in range(out.shape[0]):
        line, down = out[row], row + HALF
        x_start = matrix[0, 0] * HALF + matrix[0, 1] * down + matrix[0, 2] - HALF
        y_start = matrix[1, 0] * HALF + matrix[1, 1] * down + matrix[1, 2] - HALF
        for column in range(out.shape[1]):
            x, y = x_start + matrix[0, 0] * column, y_start + matrix[1, 0] * column
            if -HALF <= x <= width - HALF and -HALF <= y <= height - HALF:
                # Beyond the outermost centres their own value goes on.
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


@compiled(_warping, nogil=True)
def similar_inside(rgb, matrix, out):
    """`similar` for samples that all lie `inside` the picture: in whole numbers and without a test, three
    times faster, the same to one grey level."""
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


def inside(matrix: np.ndarray, side: int, width: int, height: int) -> bool:
    """Whether `similar` takes all side x side samples, with their neighbours, from within the picture."""
    ends = (0.5, side - 0.5)
    corners = np.array([(x, y, 1) for x in ends for y in ends]) @ matrix.T - 0.5
    margin = 0.01  # for what whole numbers round off on the way along a row
    return bool(
        corners.min() >= margin and (corners.max(0) < [width - 1 - margin, height - 1 - margin]).all()
    )
