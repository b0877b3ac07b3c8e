"""A gain over time that gives sound the level at which a speech detector works best."""

from __future__ import annotations

import numpy as np

TARGET_DB = -18.0  # root mean square of the loudest syllables, in dB of full scale
MAX_GAIN_DB = 60.0
SYLLABLES_S = 0.4  # the level is measured over this time
PAST_S, FUTURE_S = 3.0, 1.5  # the gain depends on the loudest syllables in this time
TRANSITION_S = 1.0  # the gain is smoothed over this time
_FLOOR = 1e-12  # of power


def levelling_gain(power: np.ndarray, period_s: float) -> np.ndarray:
    """Return the factor that gives the loudest syllables around each block TARGET_DB.

    power: (W,) mean square of blocks of `period_s` seconds. Returns: (W,) float64; it varies slowly.
    """

    def count(seconds: float) -> int:
        """Return an odd number of blocks."""
        return 2 * round(seconds / period_s / 2) + 1

    level_db = 10 * np.log10(moving_mean(power, count(SYLLABLES_S)) + _FLOOR)
    shift = round((PAST_S - FUTURE_S) / 2 / period_s)  # to the past
    size = count(PAST_S + FUTURE_S)
    loudest_db = moving_maximum(level_db, size, shift)
    gain_db = np.minimum(TARGET_DB - moving_mean(loudest_db, count(TRANSITION_S)), MAX_GAIN_DB)
    return 10 ** (gain_db / 20)


def moving_mean(values: np.ndarray, size: int) -> np.ndarray:
    """Return the mean over `size` (odd) values around each of (W,), over fewer at the ends."""
    total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    at = np.arange(len(values))
    first, end = (at - size // 2).clip(min=0), (at + size // 2 + 1).clip(max=len(values))
    return ((total[end] - total[first]) / (end - first)).astype(values.dtype)


def moving_maximum(values: np.ndarray, size: int, shift: int = 0) -> np.ndarray:
    """Return the maximum over `size` (odd) values around each of (W,), over fewer at the ends.

    shift: from 0 to size // 2; the values are those around the one that is so far before each.
    """
    # NumPy, because the import of SciPy's filters takes longer than most recordings need for prediction.
    if not len(values):
        return values
    before, after = size // 2 + shift, size // 2 - shift
    padded = np.pad(values, (before, after), constant_values=-np.inf)
    return np.lib.stride_tricks.sliding_window_view(padded, size).max(axis=1)
