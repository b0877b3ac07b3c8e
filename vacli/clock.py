"""The one place where frames become seconds and seconds become rows."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

SOUND_CLOCK_HZ = 25  # rows a second where there is sound but no picture


def regular_times(count: int, rate_hz: Fraction | float, start_s: float = 0.0) -> np.ndarray:
    """Times of `count` rows at a fixed rate, computed exactly and rounded once.

    Returns: (count,) float64 seconds.
    """
    rate = Fraction(rate_hz).limit_denominator(1_000_000)
    ticks = np.arange(count, dtype=np.int64) * rate.denominator
    return start_s + ticks / rate.numerator


def nearest_rows(at_s: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Index of the row whose time is nearest to each query; ties go to the earlier row.

    at_s: (Q,) seconds. times_s: (N,) seconds, ascending, N >= 1. Returns: (Q,) int64 in [0, N).
    """
    right = np.searchsorted(times_s, at_s).clip(1, max(len(times_s) - 1, 1))
    if len(times_s) == 1:
        return np.zeros(len(at_s), dtype=np.int64)
    left = right - 1
    return np.where(at_s - times_s[left] <= times_s[right] - at_s, left, right).astype(np.int64)


def median_rate_hz(times_s: np.ndarray) -> float:
    """Rows a second by the median step, which a few odd gaps do not move; NaN below two rows."""
    if len(times_s) < 2:
        return float("nan")
    step = float(np.median(np.diff(times_s)))
    return 1.0 / step if step > 0 else float("nan")
