"""Smooth a trajectory, and resample it at a lower rate without aliasing.

Both use one Gaussian kernel, which is symmetric, so that the result has no delay (zero phase), and positive,
so that it has no overshoot. The weight of a frame is the kernel times the frame's duration, so variable frame
rates need no resampling. Weights are normalised over the frames with a prediction (normalised convolution:
Knutsson and Westin, CVPR 1993). Frames without one stay empty.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from vacli.clock import median_rate_hz
from vacli.errors import InputError, UsageError
from vacli.output.frame_durations import frame_durations
from vacli.output.frame_table import FrameTable

SMOOTHED = ("valence", "arousal", "valence_uncertainty", "arousal_uncertainty", "quality")
FWHM = 2 * math.sqrt(2 * math.log(2))  # full width at half maximum of a Gaussian over its standard deviation
STOPBAND_DB = 40.0
# Frequency response of a Gaussian: exp(-2 (pi sigma f)^2). Standard deviation times frequency at -40 dB:
STOPBAND_SIGMA = math.sqrt(STOPBAND_DB / 20 * math.log(10) / 2) / math.pi
CUTOFF_SIGMAS = 4.5  # the kernel is 0 further away
RATE_TOLERANCE = 1.001  # container times are rounded
ROUNDING_S = 1e-6  # of times in tables


@dataclass(frozen=True)
class Filter:
    """smooth_s: full width at half maximum of the kernel in seconds. rate_hz: rows a second. None: as is."""

    smooth_s: float | None = None
    rate_hz: float | None = None

    def __post_init__(self) -> None:
        """Raise UsageError unless the values are above 0."""
        for name, value in (("--smooth", self.smooth_s), ("--rate", self.rate_hz)):
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise UsageError(f"{name} must be above 0")

    @property
    def settings(self) -> dict[str, float]:
        """The values that are used, by name."""
        named = {"smooth_s": self.smooth_s, "rate_hz": self.rate_hz}
        return {name: value for name, value in named.items() if value is not None}

    def __call__(self, table: FrameTable) -> FrameTable:
        """The filtered table. Raises InputError for a rate above that of the frames."""
        if self.rate_hz is not None:
            return resample(table, self.rate_hz, self.smooth_s or 0.0)
        return table if self.smooth_s is None else smooth(table, self.smooth_s)


def smooth(table: FrameTable, width_s: float) -> FrameTable:
    """The table with SMOOTHED columns convolved with a Gaussian of full width at half maximum `width_s`.

    The kernel does not reach across a gap longer than `width_s`. Uncertainties are averaged, and not reduced.
    """
    times_s = table.columns["time_s"]
    changed = _filtered(table, times_s, np.arange(len(table)), width_s / FWHM, width_s)
    return replace(table, columns={**table.columns, **changed})


def resample(table: FrameTable, rate_hz: float, width_s: float = 0.0) -> FrameTable:
    """The table at `rate_hz` rows a second, from the time of its first frame, without rows in its gaps.

    The kernel suppresses frequencies above rate_hz / 2 by at least 40 dB, and smooths like `smooth` if that
    is more. Columns that are not SMOOTHED have the values of the frame that is shown at the row's time.
    Raises InputError for a rate above that of the frames.
    """
    times_s = table.columns["time_s"]
    own_hz = median_rate_hz(times_s)
    if rate_hz > own_hz * RATE_TOLERANCE:
        raise InputError(
            f"{table.name} has {own_hz:.4g} frames a second, and --rate {rate_hz:g} is more",
            hint="give a lower rate",
        )
    count = 0 if not len(times_s) else math.floor((times_s[-1] - times_s[0]) * rate_hz + 1e-6) + 1
    at_s = times_s[:1] + np.arange(count) / rate_hz
    shown = np.searchsorted(times_s, at_s + ROUNDING_S, side="right") - 1
    is_shown = at_s < (times_s + frame_durations(times_s))[shown] + ROUNDING_S
    at_s, shown = at_s[is_shown], shown[is_shown]
    sigma_s = max(STOPBAND_SIGMA / (rate_hz / 2), width_s / FWHM)
    columns = {name: values[shown] for name, values in table.columns.items()}
    columns |= _filtered(table, at_s, shown, sigma_s, max(width_s, FWHM * sigma_s))
    return replace(table, columns={**columns, "time_s": at_s})


def _filtered(
    table: FrameTable, at_s: np.ndarray, shown: np.ndarray, sigma_s: float, max_gap_s: float
) -> dict[str, np.ndarray]:
    """SMOOTHED columns at `at_s` (Q,), NaN where the frame `shown` (Q,) at that time has no value."""
    times_s = table.columns["time_s"]
    weights = frame_durations(times_s)
    known: dict[bytes, list[str]] = {}  # columns with values in the same rows share the kernel's weights
    for name in SMOOTHED:
        if name in table.columns:
            known.setdefault((table.valid & np.isfinite(table.columns[name])).tobytes(), []).append(name)
    columns = {}
    for mask, names in known.items():
        has_value = np.frombuffer(mask, bool)
        values = np.stack([np.where(has_value, table.columns[name], 0.0) for name in names])
        spans = _span_numbers(times_s, weights, has_value, max_gap_s)
        means = _Kernel(sigma_s, times_s, weights, spans).means(values, at_s, shown)
        for name, mean in zip(names, means, strict=True):
            columns[name] = np.where(has_value[shown], mean, table.columns[name][shown])
    return columns


@dataclass(frozen=True, eq=False)
class _Kernel:
    """A Gaussian over frames at times_s (N,) with weights (N,); spans (N,): -1 for frames without a value."""

    sigma_s: float
    times_s: np.ndarray
    weights: np.ndarray
    spans: np.ndarray

    def means(self, values: np.ndarray, at_s: np.ndarray, shown: np.ndarray) -> np.ndarray:
        """(K, Q) weighted means of values (K, N) around `at_s` (Q,), over the span of the frame `shown`."""
        reach_s = CUTOFF_SIGMAS * self.sigma_s
        first = np.searchsorted(self.times_s, at_s - reach_s)
        end = np.searchsorted(self.times_s, at_s + reach_s, side="right")
        total, weight = np.zeros((len(values), len(at_s))), np.zeros(len(at_s))
        for offset in range(int((end - first).max(initial=0))):
            row = np.minimum(first + offset, len(self.times_s) - 1)
            used = (first + offset < end) & (self.spans[row] >= 0) & (self.spans[row] == self.spans[shown])
            distance = (self.times_s[row] - at_s) / self.sigma_s
            here = np.where(used, np.exp(-0.5 * distance**2) * self.weights[row], 0.0)
            total += here * values[:, row]
            weight += here
        with np.errstate(invalid="ignore", divide="ignore"):
            return total / weight


def _span_numbers(
    times_s: np.ndarray, durations_s: np.ndarray, has_value: np.ndarray, max_gap_s: float
) -> np.ndarray:
    """(N,) number of the span of each frame; spans have gaps longer than `max_gap_s` between them."""
    spans = np.full(len(times_s), -1)
    rows = np.flatnonzero(has_value)
    if len(rows):
        gaps_s = times_s[rows[1:]] - (times_s[rows[:-1]] + durations_s[rows[:-1]])
        spans[rows] = np.concatenate([[0], np.cumsum(gaps_s > max_gap_s + 1e-9)])
    return spans
