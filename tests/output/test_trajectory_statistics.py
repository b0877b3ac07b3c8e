"""Statistics over time against NumPy, and the effective sample size of series with a known one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from vacli.output import trajectory_statistics
from vacli.output.frame_durations import MAX_FRAME_S, frame_durations
from vacli.output.trajectory_statistics import (
    MAX_SERIES,
    QUANTILES,
    WeightedStatistics,
    correlation_time,
    mean_error,
    overlap,
)


def ar1(phi: float, count: int, seed: int = 0) -> np.ndarray:
    """A stationary autoregressive series of order 1 with variance 1."""
    noise = np.random.default_rng(seed).normal(size=count + 1000) * np.sqrt(1 - phi**2)
    return lfilter([1], [1, -phi], noise)[1000:]


def test_statistics_equal_those_of_the_expanded_values():
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=200), rng.integers(0, 6, 200)
    expanded = np.repeat(values, weights)
    made = WeightedStatistics.of(values, weights.astype(float))
    np.testing.assert_allclose(made.mean, expanded.mean())
    np.testing.assert_allclose(made.sd, expanded.std())
    np.testing.assert_array_equal(made.quantiles, np.quantile(expanded, QUANTILES, method="inverted_cdf"))


def test_statistics_do_not_depend_on_the_scale_of_the_weights():
    values, weights = np.arange(10.0), np.full(10, 0.04)
    scaled = WeightedStatistics.of(values, weights * 1e-3)
    np.testing.assert_allclose(scaled.quantiles, WeightedStatistics.of(values, weights).quantiles)
    assert WeightedStatistics.of(values, weights).quantiles[2] == np.quantile(
        values, 0.5, method="inverted_cdf"
    )


def test_statistics_without_weight_are_unknown():
    made = WeightedStatistics.of(np.ones(3), np.zeros(3))
    assert np.isnan([made.mean, made.sd, *made.quantiles]).all()


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9, 0.97])
def test_the_correlation_time_of_autoregressive_series_is_known(phi):
    step_s, count = 0.04, 40_000
    times_s = np.arange(count) * step_s
    estimates = [correlation_time(times_s, ar1(phi, count, seed)) / step_s for seed in range(5)]
    assert np.mean(estimates) == pytest.approx((1 + phi) / (1 - phi), rel=0.15)


def test_the_standard_error_is_the_spread_of_the_means_of_many_series():
    count, phi = 2000, 0.9
    times_s = np.arange(count) / 25
    series = [ar1(phi, count, seed) for seed in range(200)]
    stated = [
        mean_error(float(x.std()), count / 25, correlation_time(times_s, x), np.nan).standard_error
        for x in series
    ]
    assert np.median(stated) == pytest.approx(np.std([x.mean() for x in series]), rel=0.15)


def test_gaps_and_variable_frame_rates_hardly_change_the_correlation_time():
    rng = np.random.default_rng(3)
    count = 40_000
    times_s, values = np.arange(count) / 25, ar1(0.95, count)
    whole = correlation_time(times_s, values)
    gaps = np.where(rng.random(count // 500).repeat(500) < 0.3, np.nan, values)
    assert correlation_time(times_s, gaps) == pytest.approx(whole, rel=0.25)
    kept = np.flatnonzero(rng.random(count) < 0.8)
    assert correlation_time(times_s[kept], values[kept]) == pytest.approx(whole, rel=0.25)


def test_constant_and_short_series_have_no_correlation_time():
    times_s = np.arange(100) / 25
    assert np.isnan(correlation_time(times_s, np.full(100, 0.3)))
    assert np.isnan(correlation_time(times_s[:1], np.ones(1)))
    assert np.isnan(correlation_time(times_s, np.full(100, np.nan)))


def test_the_standard_error_combines_spread_and_uncertainty():
    made = mean_error(0.3, 10.0, 1.0, 0.4)
    assert made.effective_n == 10
    assert made.standard_error == pytest.approx(np.sqrt((0.3**2 * 10 / 9 + 0.4**2) / 10))
    assert mean_error(0.0, 0.5, 2.0, 0.4).standard_error == pytest.approx(0.4), "one independent value"
    assert np.isnan(mean_error(np.nan, 0.0, 1.0, 0.2).standard_error)


def test_frames_count_until_the_next_one_and_at_most_a_second():
    durations = frame_durations(np.array([0.0, 0.1, 0.4, 10.0, 10.1]))
    np.testing.assert_allclose(durations, [0.1, 0.3, MAX_FRAME_S, 0.1, 0.2])


def test_frames_of_a_slow_series_count_until_the_next_one():
    durations = frame_durations(np.array([0.0, 5.0, 10.0, 40.0, 45.0]))
    np.testing.assert_allclose(durations, [5.0, 5.0, 7.5, 5.0, 5.0])


def test_rounding_at_an_edge_is_no_overlap():
    times_s = np.arange(10) / 5
    for edge_s in (3 * 0.2, 0.6, 0.6 + 1e-9):
        assert (overlap(times_s, np.full(10, 0.2), edge_s, 1.0) > 0).sum() == 2


def test_the_series_of_uneven_times_has_no_more_values_than_can_be_used(monkeypatch):
    sizes = []
    monkeypatch.setattr(trajectory_statistics, "_autocorrelation", lambda values: sizes.append(len(values)))
    times_s = np.repeat(np.arange(300.0), 2) + np.tile([0.0, 1e-5], 300)
    correlation_time(times_s, np.sin(times_s))
    assert sizes[0] <= MAX_SERIES * len(times_s) + 1


def test_a_frame_across_an_edge_counts_in_part():
    times_s = np.array([0.0, 0.4, 0.8, 1.2])
    durations_s = np.full(4, 0.4)
    np.testing.assert_allclose(overlap(times_s, durations_s, 0.0, 1.0), [0.4, 0.4, 0.2, 0.0])
    np.testing.assert_allclose(overlap(times_s, durations_s, 1.0, 2.0), [0.0, 0.0, 0.2, 0.4])
