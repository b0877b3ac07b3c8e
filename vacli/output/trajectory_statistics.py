"""Statistics of a trajectory over time: each frame counts for as long as it is shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vacli.clock import median_step_s

QUANTILES = (0.10, 0.25, 0.50, 0.75, 0.90)
MAX_SERIES = 20  # times the number of frames
MIN_OVERLAP_S = 1e-6  # less is rounding: tables have six decimals


def overlap(times_s: np.ndarray, durations_s: np.ndarray, start_s: float, end_s: float) -> np.ndarray:
    """(N,) seconds of each frame within [start_s, end_s); a frame across an edge counts in part."""
    seconds = np.minimum(times_s + durations_s, end_s) - np.maximum(times_s, start_s)
    return np.where(seconds > MIN_OVERLAP_S, seconds, 0.0)


@dataclass(frozen=True)
class WeightedStatistics:
    """Mean, standard deviation (population) and QUANTILES of values with weights; NaN without any."""

    mean: float
    sd: float
    quantiles: tuple[float, ...]

    @classmethod
    def of(cls, values: np.ndarray, weights: np.ndarray) -> WeightedStatistics:
        """Of values (N,) without NaN.

        The quantile p is the lowest value with a cumulated weight of at least p of all (definition 1 of
        Hyndman and Fan, The American Statistician 50, 1996).
        """
        used = weights > 0
        values, weights = values[used], weights[used]
        total = weights.sum()
        if not len(values):
            return cls(np.nan, np.nan, (np.nan,) * len(QUANTILES))
        mean = float((weights * values).sum() / total)
        sd = float(np.sqrt((weights * (values - mean) ** 2).sum() / total))
        order = np.argsort(values, kind="stable")
        cumulated = np.cumsum(weights[order])
        rows = np.searchsorted(cumulated, np.array(QUANTILES) * cumulated[-1] * (1 - 1e-12))
        return cls(mean, sd, tuple(values[order][rows.clip(0, len(values) - 1)].tolist()))


def correlation_time(times_s: np.ndarray, values: np.ndarray) -> float:
    """The integrated autocorrelation time of a series in seconds.

    A mean over T seconds has T over it independent values. NaN below two values or without variance.
    times_s: (N,). values: (N,), NaN where missing. The series is taken at its median step, or at a longer one
    so that it has at most MAX_SERIES times as many values. The sum of autocorrelations ends where the sum of
    two neighbouring ones is no longer positive, and these sums do not increase: the initial monotone sequence
    of Geyer, Statistical Science 7(4), 1992, section 3.3.
    """
    if np.isfinite(values).sum() < 2:
        return float("nan")
    step_s = max(median_step_s(times_s), float(times_s[-1] - times_s[0]) / (MAX_SERIES * len(times_s)))
    series = values if step_s <= 0 else values[_regular_rows(times_s, step_s)]
    rho = _autocorrelation(series)
    if rho is None or step_s <= 0:
        return float("nan")
    even = len(rho) // 2 * 2
    pairs = rho[:even:2] + rho[1:even:2]
    negative = np.flatnonzero(pairs <= 0)
    pairs = np.minimum.accumulate(pairs[: negative[0]] if len(negative) else pairs)
    return step_s * max(2 * float(pairs.sum()) - 1, 1.0)


def _regular_rows(times_s: np.ndarray, step_s: float) -> np.ndarray:
    """The frame that is shown at each multiple of `step_s`."""
    count = round((times_s[-1] - times_s[0]) / step_s) + 1
    at_s = times_s[0] + np.arange(count) * step_s
    return np.searchsorted(times_s, at_s + step_s / 2).clip(1, len(times_s)) - 1


def _autocorrelation(values: np.ndarray) -> np.ndarray | None:
    """(N,) autocorrelation at lags from 0, from pairs of rows with values; None if constant."""
    present = np.isfinite(values)
    centred = np.where(present, values - values[present].mean(), 0.0)
    size = 1 << int(2 * len(values) - 1).bit_length()
    spectrum = np.abs(np.fft.rfft(centred, size)) ** 2
    covariance = np.fft.irfft(spectrum, size)[: len(values)]
    if covariance[0] <= 1e-12 * max(present.sum(), 1):
        return None
    pairs = np.fft.irfft(np.abs(np.fft.rfft(present.astype(float), size)) ** 2, size)[: len(values)]
    # As the biased estimate of a series without gaps, which is less noisy at lags with few pairs.
    complete = present.sum() * (1 - np.arange(len(values)) / len(values))
    share = np.where(pairs > 0.5, complete / np.maximum(pairs, 0.5), 0.0)
    return covariance / covariance[0] * share


@dataclass(frozen=True)
class MeanError:
    """effective_n: number of independent values. standard_error: of the mean."""

    effective_n: float
    standard_error: float


def mean_error(sd: float, duration_s: float, correlation_s: float, uncertainty: float) -> MeanError:
    """The standard error of a mean over `duration_s` seconds of a series with a correlation time.

    sd: over these seconds. uncertainty: root mean square of the frames' stated uncertainty, NaN if unknown.
    The errors of the frames are taken to be as correlated as the values, so both are divided by the number of
    independent values: sqrt((sd^2 n / (n - 1) + uncertainty^2) / n). Below n = 2 sd is not corrected. An
    error that is constant over the recording is not in it.
    """
    if not duration_s > 0 or np.isnan(sd):
        return MeanError(float("nan"), float("nan"))
    n = 1.0 if np.isnan(correlation_s) else max(duration_s / correlation_s, 1.0)
    correction = n / (n - 1) if n >= 2 else 1.0
    stated = 0.0 if np.isnan(uncertainty) else uncertainty**2
    return MeanError(n, float(np.sqrt((sd**2 * correction + stated) / n)))
