"""Times ascend for any timestamps of a file."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from vacli.media.timestamps import MIN_STEP_S, make_ascending, nominal_hz

RATE_HZ = Fraction(25)


def random_timestamps(seed: int) -> np.ndarray:
    """Return timestamps with gaps, repetitions, falls and missing values."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 80))
    times_s = np.cumsum(rng.choice([0.04, 0.0, 0.001, -0.5, 1e-7, 3600.0, 1e9], count, p=PARTS))
    times_s[rng.random(count) < rng.choice([0.0, 0.1, 1.0])] = np.nan
    return times_s + rng.choice([-5.0, 0.0, 1e9])


PARTS = [0.7, 0.08, 0.08, 0.05, 0.05, 0.03, 0.01]


@pytest.mark.parametrize("seed", range(200))
def test_times_ascend_and_are_finite_for_any_timestamps(seed: int) -> None:
    timestamps_s = random_timestamps(seed)
    times_s, _ = make_ascending(timestamps_s, RATE_HZ)
    assert len(times_s) == len(timestamps_s)
    assert np.isfinite(times_s).all()
    assert (np.diff(times_s) > 0).all()
    printed = [f"{time_s:.6f}" for time_s in times_s]
    assert len(set(printed)) == len(printed)


def test_ascending_timestamps_are_not_changed() -> None:
    timestamps_s = np.array([-0.08, 0.0, 0.04, 0.0401, 5.0])
    times_s, notes = make_ascending(timestamps_s, RATE_HZ)
    np.testing.assert_array_equal(times_s, timestamps_s)
    assert notes == ()


def test_a_frame_that_is_not_later_is_moved_after_the_one_before() -> None:
    times_s, (note,) = make_ascending(np.array([0.0, 0.04, 0.04, 0.02, 0.12, 0.16]), RATE_HZ)
    expected = [0.0, 0.04, 0.04 + MIN_STEP_S, 0.04 + 2 * MIN_STEP_S, 0.12, 0.16]
    np.testing.assert_allclose(times_s, expected, atol=1e-12)
    assert "2 of 6 frames" in note


def test_timestamps_without_order_are_replaced_by_the_nominal_rate() -> None:
    times_s, (note,) = make_ascending(np.zeros(10), RATE_HZ)
    np.testing.assert_allclose(times_s, np.arange(10) / 25)
    assert "25 frames a second" in note


@pytest.mark.parametrize("count", [7, 8, 500, 501])
def test_timestamps_in_pairs_are_spread(count: int) -> None:
    true_s = 3 + np.arange(count) / 50
    times_s, (note,) = make_ascending(true_s[np.arange(count) // 2 * 2], RATE_HZ)
    np.testing.assert_allclose(times_s, true_s, atol=1e-9)
    assert f"{count // 2} of {count} frames" in note


def test_most_timestamps_out_of_order_are_replaced() -> None:
    times_s, (note,) = make_ascending(np.array([0.0, 0.08, 0.04, 0.0, 0.12, 0.08]), RATE_HZ)
    np.testing.assert_allclose(times_s, np.arange(6) / 25)
    assert "a rate of 25 frames a second is assumed" in note


def test_frames_without_a_timestamp_follow_at_the_nominal_rate() -> None:
    times_s, notes = make_ascending(np.array([np.nan, 1.0, np.nan, 1.08]), RATE_HZ)
    np.testing.assert_allclose(times_s, [0.96, 1.0, 1.04, 1.08])
    assert notes == ()
    np.testing.assert_allclose(make_ascending(np.full(3, np.nan), RATE_HZ)[0], [0, 0.04, 0.08])


def test_a_gap_is_reported_but_not_a_low_frame_rate() -> None:
    _, notes = make_ascending(np.array([0.0, 0.04, 0.08, 3600.08, 3600.12]), RATE_HZ)
    assert notes == ("no picture for 3600 s after 0.080 s",)
    assert make_ascending(np.arange(10) * 30.0, RATE_HZ)[1] == ()


def test_an_implausible_rate_is_ignored() -> None:
    assert nominal_hz(None, Fraction(0), Fraction(2_000_000_000), Fraction(30)) == 30
    assert nominal_hz(Fraction(1, 1_000_000)) == 25
