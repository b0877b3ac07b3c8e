"""A gain over time that gives sound the level at which a speech detector works best."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import maximum_filter1d, uniform_filter1d

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
    loudest_db = maximum_filter1d(level_db, size, mode="constant", cval=-np.inf, origin=shift)
    gain_db = np.minimum(TARGET_DB - moving_mean(loudest_db, count(TRANSITION_S)), MAX_GAIN_DB)
    return 10 ** (gain_db / 20)


def moving_mean(values: np.ndarray, size: int) -> np.ndarray:
    """Return the mean over `size` (odd) values around each of (W,), over fewer at the ends."""
    total = uniform_filter1d(values, size, mode="constant")
    return total / uniform_filter1d(np.ones(len(values)), size, mode="constant")
