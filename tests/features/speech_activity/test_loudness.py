"""Moving means and maxima against SciPy's filters, and the gain of a level control."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from vacli.features.speech_activity.loudness import TARGET_DB, levelling_gain, moving_maximum, moving_mean

VALUES = np.random.default_rng(0).normal(size=200)


@pytest.mark.parametrize("count", [1, 6, 200])
@pytest.mark.parametrize("size", [1, 15, 141])
def test_moving_mean_is_that_of_scipy(count, size):
    values = VALUES[:count]
    ones = uniform_filter1d(np.ones(count), size, mode="constant")
    reference = uniform_filter1d(values, size, mode="constant") / ones
    np.testing.assert_allclose(moving_mean(values, size), reference, atol=1e-12)
    assert moving_mean(values.astype(np.float32), size).dtype == np.float32


@pytest.mark.parametrize("shift", [0, 3, 7])
@pytest.mark.parametrize("count", [1, 6, 200])
def test_moving_maximum_is_that_of_scipy(count, shift):
    values = VALUES[:count]
    reference = maximum_filter1d(values, 15, mode="constant", cval=-np.inf, origin=shift)
    np.testing.assert_array_equal(moving_maximum(values, 15, shift), reference)


@pytest.mark.parametrize("level_db", [-60, -30, -6])
def test_a_steady_sound_gets_the_target_level(level_db):
    power = np.full(300, 10 ** (level_db / 10))
    np.testing.assert_allclose(20 * np.log10(levelling_gain(power, 0.032)), TARGET_DB - level_db, atol=1e-6)
