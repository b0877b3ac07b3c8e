"""CCC and its company against independent references, on data that can tell formulas apart."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import root_mean_squared_error

from vacli.metrics import Moments, ccc, pcc, rmse, sign_agreement


def correlated(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two correlated signals of different scale and offset."""
    rng = np.random.default_rng(seed)
    y = rng.normal(0.2, 0.3, count)
    return 0.7 * y + rng.normal(0.15, 0.1, count), y


def direct_ccc(x: np.ndarray, y: np.ndarray, ddof: int = 0) -> float:
    covariance = np.cov(x, y, ddof=ddof)
    return 2 * covariance[0, 1] / (covariance[0, 0] + covariance[1, 1] + (x.mean() - y.mean()) ** 2)


def test_golden_value_by_hand():
    # means 2 and 3, variances 2/3 and 8/3, covariance 4/3: 2 * 4/3 / (10/3 + 1) = 8/13
    assert ccc(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 5.0])) == pytest.approx(8 / 13, abs=1e-15)


@pytest.mark.parametrize("count", [2, 10, 300, 4800])
def test_ccc_is_the_direct_formula_with_one_over_n(count):
    x, y = correlated(count)
    assert ccc(x, y) == pytest.approx(direct_ccc(x, y), abs=1e-12)


def test_ccc_is_not_the_mixed_formula_at_small_n():
    x, y = correlated(10)
    mixed = 2 * np.cov(x, y, ddof=0)[0, 1] / (x.var(ddof=1) + y.var(ddof=1) + (x.mean() - y.mean()) ** 2)
    assert abs(ccc(x, y) - mixed) > 1e-3


def test_torchmetrics_agrees_to_its_own_definition():
    torch = pytest.importorskip("torch")
    reference = pytest.importorskip("torchmetrics.functional.regression")
    x, y = correlated(40)
    theirs = reference.concordance_corrcoef(torch.from_numpy(x), torch.from_numpy(y)).item()
    assert theirs == pytest.approx(direct_ccc(x, y, ddof=1), abs=1e-6)
    # Theirs divides (co)variances by n - 1, which is ours with the offset term scaled by (n - 1) / n.
    m = Moments.of(x, y)
    rescaled = 2 * m.xy / (m.xx + m.yy + (m.count - 1) * (m.mean_x - m.mean_y) ** 2)
    assert theirs == pytest.approx(rescaled, abs=1e-6)


def test_the_others_against_scipy_and_sklearn():
    x, y = correlated(300)
    assert pcc(x, y) == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)
    assert rmse(x, y) == pytest.approx(root_mean_squared_error(y, x), abs=1e-12)
    assert sign_agreement(x, y) == pytest.approx(np.mean(x * y > 0), abs=1e-12)


def test_bounds_and_symmetry():
    x, y = correlated(200)
    assert ccc(x, y) == pytest.approx(ccc(y, x), abs=1e-15)
    assert abs(ccc(x, y)) <= abs(pcc(x, y))
    assert ccc(3 * x + 1, 3 * y + 1) == pytest.approx(ccc(x, y), abs=1e-12)
    assert ccc(y, y) == pytest.approx(1.0, abs=1e-15)


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, -0.7])
def test_constant_input_gives_zero(value):
    x, y = correlated(101)
    constant = np.full(101, value)
    assert ccc(constant, y) == 0.0
    assert ccc(x, constant) == 0.0
    assert ccc(constant, constant) == 0.0
    assert pcc(constant, y) == 0.0


def test_far_from_zero_nothing_cancels():
    x, y = correlated(1000)
    assert ccc(x + 1e6, y + 1e6) == pytest.approx(ccc(x, y), abs=1e-8)
    assert rmse(x + 1e6, y + 1e6) == pytest.approx(rmse(x, y), rel=1e-8)


def test_unannotated_frames_do_not_count():
    x, y = correlated(50)
    y[::7] = np.nan
    kept = ~np.isnan(y)
    assert ccc(x, y) == pytest.approx(direct_ccc(x[kept], y[kept]), abs=1e-12)
    assert Moments.of(x, y).count == kept.sum()


def test_missing_prediction_is_not_left_out_in_silence():
    x, y = correlated(50)
    x[3] = np.nan
    assert math.isnan(ccc(x, y))


def test_no_data_is_nan():
    nothing = np.full(5, np.nan)
    m = Moments.of(np.zeros(5), nothing)
    assert all(math.isnan(v) for v in (m.ccc, m.pcc, m.rmse, m.sign_agreement))


def test_different_lengths_are_refused():
    with pytest.raises(ValueError, match="shapes differ"):
        ccc(np.zeros(3), np.zeros(4))


@given(st.lists(st.integers(0, 60), max_size=6), st.integers(0, 1000), st.floats(-100, 100))
def test_merged_moments_equal_those_of_the_whole(cuts, seed, offset):
    x, y = correlated(60, seed)
    x = x + offset
    bounds = [0, *sorted(cuts), 60]
    merged = sum((Moments.of(x[a:b], y[a:b]) for a, b in itertools.pairwise(bounds)), Moments())
    whole = Moments.of(x, y)
    assert merged.count == whole.count
    assert merged.same_sign == whole.same_sign
    for name in ("mean_x", "mean_y", "xx", "yy", "xy", "squared_error", "ccc", "pcc", "rmse"):
        assert getattr(merged, name) == pytest.approx(getattr(whole, name), rel=1e-9, abs=1e-9)


@given(st.integers(1, 20), st.integers(1, 20), st.floats(-1, 1))
def test_merged_constants_stay_constant(first, second, value):
    y = np.linspace(-1, 1, first + second)
    parts = [Moments.of(np.full(first, value), y[:first]), Moments.of(np.full(second, value), y[first:])]
    assert sum(parts, Moments()).ccc == pytest.approx(0.0, abs=1e-15)
