"""Clock, specs and errors."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vacli.clock import bracket, duration_s, interpolate, median_rate_hz, nearest_rows, regular_times
from vacli.errors import InputError, UsageError, nearest
from vacli.spec import VISUAL, FeatureSpec


def test_regular_times_do_not_drift():
    hour = regular_times(30 * 3600, Fraction(30000, 1001))
    assert hour[-1] == (30 * 3600 - 1) * 1001 / 30000
    np.testing.assert_array_equal(regular_times(3, 25, start_s=0.5), [0.5, 0.54, 0.58])


@given(
    st.lists(st.floats(-10, 10), min_size=1, max_size=20, unique=True).map(sorted),
    st.lists(st.floats(-12, 12), max_size=20),
)
def test_nearest_rows_are_nearest(times, queries):
    times, queries = np.array(times), np.array(queries)
    rows = nearest_rows(queries, times)
    assert rows.shape == queries.shape
    distance = np.abs(times[None] - queries[:, None])
    np.testing.assert_array_equal(distance[np.arange(len(rows)), rows], distance.min(1, initial=np.inf))


@given(
    st.lists(st.integers(-1000, 1000), min_size=1, max_size=20, unique=True).map(sorted),
    st.lists(st.floats(-12, 12), max_size=20),
)
def test_interpolation_agrees_with_numpy(times, queries):
    times, queries = np.array(times) / 100, np.array(queries)
    values = np.stack([np.sin(times), np.cos(times)], axis=1)
    expected = [np.interp(queries, times, column) for column in values.T]
    np.testing.assert_allclose(interpolate(queries, times, values).T, expected, atol=1e-12)


def test_bracket_of_positions_and_outside_is_one_row_with_weight_0():
    left, right, weight = bracket(np.array([-1, 0, 1, 2, 5]), np.array([0, 2, 4]))
    assert (left.tolist(), right.tolist()) == ([0, 0, 0, 1, 2], [0, 0, 1, 1, 2])
    assert weight.tolist() == [0, 0, 0.5, 0, 0]


def test_median_rate_ignores_odd_gaps():
    times = np.cumsum([0.04] * 50 + [3.0] + [0.04] * 50)
    assert abs(median_rate_hz(times) - 25) < 1e-9
    assert np.isnan(median_rate_hz(times[:1]))


def test_fingerprints_follow_what_changes_the_numbers():
    spec = FeatureSpec(name="a", version="1", modality=VISUAL, dim=2, settings={"hop": 1})
    same = FeatureSpec(name="a", version="1", modality=VISUAL, dim=2, settings={"hop": 1}, licence="MIT")
    other = FeatureSpec(name="a", version="1", modality=VISUAL, dim=2, settings={"hop": 2})
    assert spec.fingerprint() == same.fingerprint() != other.fingerprint()
    assert spec.attributes()["settings"] == {"hop": 1}


def test_errors_are_one_line():
    assert InputError("bad\nfile", hint="try\nagain").one_line() == "bad file; try again"
    assert (InputError("x").exit_code, UsageError("x").exit_code) == (1, 2)
    assert nearest("mamab", ["mamba", "tcn"]) == "did you mean 'mamba'?"
    assert nearest("zzz", ["b", "a"]) == "known: a, b"


@pytest.mark.parametrize(
    ("times_s", "wanted_s"),
    [([], 0.0), ([3.0], 0.04), ([1.0, 1.5, 2.0], 1.5), ([0.0, 0.1, 0.2, 1.2], 1.3)],
)
def test_a_duration_ends_with_the_last_frame(times_s, wanted_s):
    assert duration_s(np.array(times_s)) == pytest.approx(wanted_s)
