"""Precision weighting of estimates."""

from __future__ import annotations

import numpy as np
import pytest

from vacli.inference.fusion import precision_weighted

NAN = float("nan")


def fused(values, stds):
    mean, std = precision_weighted([np.array([v]) for v in values], [np.array([s]) for s in stds])
    return float(mean[0]), float(std[0])


def test_equal_estimates_give_their_mean_with_a_smaller_uncertainty():
    assert fused([0.2, 0.4], [0.3, 0.3]) == pytest.approx((0.3, 0.3 / np.sqrt(2)))


def test_estimates_are_weighted_by_their_inverse_variances():
    mean, std = fused([0.0, 1.0], [0.5, 1.0])
    assert mean == pytest.approx(1 / 5)
    assert std == pytest.approx(1 / np.sqrt(5))  # the two agree within their uncertainties


def test_disagreement_enlarges_the_uncertainty():
    mean, std = fused([-0.8, 0.8], [0.2, 0.2])
    assert mean == pytest.approx(0)
    assert std == pytest.approx(0.8)  # chi^2 = 32: sqrt(32) x 0.2 / sqrt(2)


@pytest.mark.parametrize(("value", "std"), [(NAN, 0.1), (0.9, NAN), (0.9, np.inf), (0.9, 0.0)])
def test_a_missing_estimate_leaves_the_other_unchanged(value, std):
    assert fused([0.4, value], [0.3, std]) == pytest.approx((0.4, 0.3))
    assert fused([value, 0.4], [std, 0.3]) == pytest.approx((0.4, 0.3))


def test_without_any_estimate_the_result_is_missing():
    assert np.isnan(fused([NAN, 0.2], [0.1, NAN])).all()


def test_a_useless_estimate_hardly_moves_the_value():
    mean, _ = fused([0.3, -1.0], [0.2, 1e3])
    assert mean == pytest.approx(0.3, abs=1e-6)


def test_rows_and_dimensions_are_independent():
    rng = np.random.default_rng(0)
    values, stds = rng.normal(size=(3, 4, 2)), rng.uniform(0.1, 1, size=(3, 4, 2))
    mean, std = precision_weighted(list(values), list(stds))
    for index in np.ndindex(4, 2):
        one = precision_weighted([v[index] for v in values], [s[index] for s in stds])
        np.testing.assert_allclose((mean[index], std[index]), one)
