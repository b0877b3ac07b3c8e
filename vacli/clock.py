"""Conversion between frames, seconds and rows."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

SINGLE_FRAME_S = 0.04  # the length of a recording of one frame
SOUND_CLOCK_HZ = 25  # rows a second for recordings without pictures


def regular_times(count: int, rate_hz: Fraction | float, start_s: float = 0.0) -> np.ndarray:
    """Times of `count` rows at a fixed rate, computed exactly and rounded once.

    Returns: (count,) float64 seconds.
    """
    rate = Fraction(rate_hz).limit_denominator(1_000_000)
    ticks = np.arange(count, dtype=np.int64) * rate.denominator
    return start_s + ticks / rate.numerator


def duration_s(times_s: np.ndarray) -> float:
    """Seconds from the first frame to the end of the last one, which is shown for the median interval.

    times_s: (N,) seconds, ascending. A single frame is shown for SINGLE_FRAME_S.
    """
    return float(times_s[-1] - times_s[0] + median_step_s(times_s)) if len(times_s) else 0.0


def median_step_s(times_s: np.ndarray) -> float:
    """The usual seconds between two frames. times_s: (N,) seconds, ascending."""
    return float(np.median(np.diff(times_s))) if len(times_s) > 1 else SINGLE_FRAME_S


def nearest_rows(at_s: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Index of the row whose time is nearest to each query; ties go to the earlier row.

    at_s: (Q,) seconds. times_s: (N,) seconds, ascending, N >= 1. Returns: (Q,) int64 in [0, N).
    """
    right = np.searchsorted(times_s, at_s).clip(1, max(len(times_s) - 1, 1))
    if len(times_s) == 1:
        return np.zeros(len(at_s), dtype=np.int64)
    left = right - 1
    return np.where(at_s - times_s[left] <= times_s[right] - at_s, left, right).astype(np.int64)


def bracket(at: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Neighbours of each query and the weight of the right one, for linear interpolation.

    At a position, and outside the first and last one, both neighbours are the same row and the weight is 0.

    at: (Q,) times or rows. positions: (N,) of the same unit, ascending, N >= 1.
    Returns: left and right (Q,) int64 in [0, N), weight (Q,) float64 in [0, 1].
    """
    right = np.searchsorted(positions, at).clip(0, len(positions) - 1)
    left = np.where(positions[right] <= at, right, np.maximum(right - 1, 0))
    width = positions[right] - positions[left]
    weight = np.where(width > 0, (at - positions[left]) / np.where(width > 0, width, 1.0), 0.0)
    return left, right, weight


def interpolate(at: np.ndarray, positions: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values linear between neighbouring rows; the first and last row continue outside.

    at: (Q,). positions: (N,) ascending, N >= 1. values: (N, D). Returns: (Q, D) float64.
    """
    left, right, weight = bracket(at, positions)
    return mix(values[left], values[right], weight)


def mix(left: np.ndarray, right: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(1 - weight) left + weight right. left, right: (Q, D). weight: (Q,) float64. Returns: (Q, D)."""
    return left * (1 - weight)[:, np.newaxis] + right * weight[:, np.newaxis]


def median_rate_hz(times_s: np.ndarray) -> float:
    """Rows a second from the median step, which is robust to gaps; NaN below two rows."""
    if len(times_s) < 2:
        return float("nan")
    step = float(np.median(np.diff(times_s)))
    return 1.0 / step if step > 0 else float("nan")
