"""Shot boundary detection by colour histograms and pixel differences of successive frames."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from vacli.runtime.jit import compiled

SAMPLES_PER_SIDE = 36
BITS = 3  # of each colour channel in the histogram
LEVELS, DROPPED = 1 << BITS, 8 - BITS
# Measured within single shots: at most 0.04 and 0.06; between two speakers in front of the same background:
# at least 0.078 and 0.23. A false boundary costs one search, a missed one may mix up two identities.
MIN_CHANGE = 0.06
MIN_COLOUR_CHANGE = 0.15


def _grid(types: ModuleType) -> object:
    return types.Array(types.uint8, 3, "C", readonly=True)


@compiled(lambda types: types.int64[::1](_grid(types)), nogil=True)
def _histogram(pixels: np.ndarray) -> np.ndarray:
    """Count each of the LEVELS ** 3 colours."""
    counts = np.zeros(LEVELS**3, np.int64)
    for row in pixels:
        for red, green, blue in row:
            counts[((red >> DROPPED) * LEVELS + (green >> DROPPED)) * LEVELS + (blue >> DROPPED)] += 1
    return counts


@compiled(lambda types: types.float64(_grid(types), _grid(types)), nogil=True)
def _mean_difference(pixels: np.ndarray, before: np.ndarray) -> float:
    """Return the mean absolute difference as a fraction of the range."""
    total = np.int64(0)
    for one, other in zip(pixels.reshape(-1), before.reshape(-1)):  # noqa: B905 - numba's zip takes no more
        total += abs(np.int64(one) - np.int64(other))
    return total / pixels.size / 255


class ShotBoundaryDetector:
    """Compares each frame with the one before it, on a grid of some thousand pixels."""

    def __init__(self) -> None:
        self._before: tuple[np.ndarray, np.ndarray] | None = None
        self.is_changed = False  # whether the latest frame's pixels differ much; the colours need not

    def is_cut(self, rgb: np.ndarray) -> bool:
        """Return whether a frame, (H, W, 3) uint8, begins a shot; the first frame does."""
        step = max(1, min(rgb.shape[:2]) // SAMPLES_PER_SIDE)
        pixels = np.ascontiguousarray(rgb[step // 2 :: step, step // 2 :: step])
        colours = _histogram(pixels)
        before, self._before = self._before, (pixels, colours)
        if before is None or before[0].shape != pixels.shape:
            self.is_changed = True
            return True
        colour_change = np.abs(colours - before[1]).sum() / 2 / pixels[..., 0].size
        self.is_changed = bool(_mean_difference(pixels, before[0]) > MIN_CHANGE)
        return self.is_changed and bool(colour_change > MIN_COLOUR_CHANGE)
