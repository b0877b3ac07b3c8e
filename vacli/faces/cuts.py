"""Cuts: where one shot ends and another begins."""

from __future__ import annotations

import numpy as np

SAMPLES_A_SIDE = 36
BITS = 3  # of each colour channel in the histogram
LEVELS = 1 << BITS
PLACES = np.array([LEVELS**2, LEVELS, 1], np.int16)
# Measured on recordings of one shot: at most 0.04 and 0.06; between two speakers before one and the same
# screen: at least 0.078 and 0.23. A cut that is none costs one search, a missed one may cost an identity.
LOWEST_CHANGE = 0.06
LOWEST_COLOUR_CHANGE = 0.15


class CutFinder:
    """Compares each frame with the one before, on a grid of some thousand pixels."""

    def __init__(self) -> None:
        self._before: tuple[np.ndarray, np.ndarray] | None = None

    def is_cut(self, rgb: np.ndarray) -> bool:
        """Whether (H, W, 3) uint8 `rgb` begins a shot; the first frame does."""
        step = max(1, min(rgb.shape[:2]) // SAMPLES_A_SIDE)
        pixels = rgb[step // 2 :: step, step // 2 :: step].astype(np.int16)
        colours = _histogram(pixels)
        before, self._before = self._before, (pixels, colours)
        if before is None or before[0].shape != pixels.shape:
            return True
        change = np.abs(pixels - before[0]).mean() / 255
        colour_change = np.abs(colours - before[1]).sum() / 2
        return bool(change > LOWEST_CHANGE and colour_change > LOWEST_COLOUR_CHANGE)


def _histogram(pixels: np.ndarray) -> np.ndarray:
    """Shares of the LEVELS ** 3 colours."""
    levels = (pixels >> (8 - BITS)).reshape(-1, 3)
    counts = np.bincount(levels @ PLACES, minlength=LEVELS**3)
    return counts / len(levels)
