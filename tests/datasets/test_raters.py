"""Several raters of one video: their combination and their agreement against independent formulas."""

from __future__ import annotations

import numpy as np
import pytest

from vacli.datasets.annotations import ANNOTATED, NOT_ANNOTATED, OUTSIDE, FrameLabels
from vacli.datasets.raters import AgreementCount, agreement, combine

RNG = np.random.default_rng(3)
TRUTH = np.sin(np.linspace(0, 12, 400))
RATINGS = np.stack([0.6 * TRUTH + 0.1 * k + 0.2 * RNG.normal(size=400) for k in range(4)], axis=1)  # (N, K)


def labels(values, outside=()) -> FrameLabels:
    values = np.column_stack([values, -0.5 * np.asarray(values)]).astype(np.float32)
    source = np.where(np.isnan(values[:, 0]), NOT_ANNOTATED, ANNOTATED).astype(np.uint8)
    source[list(outside)] = OUTSIDE
    return FrameLabels(values=values, source=source)


def raters(ratings=RATINGS) -> dict[str, FrameLabels]:
    return {str(k): labels(ratings[:, k]) for k in range(ratings.shape[1])}


def test_one_rater_is_unchanged():
    one = labels(TRUTH)
    made = combine({"": one})
    assert made.labels is one
    assert not made.moments


def test_mean_of_raters():
    made = combine(raters())
    np.testing.assert_allclose(made.labels.values[:, 0], RATINGS.mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(made.labels.values[:, 1], -0.5 * RATINGS.mean(axis=1), atol=1e-6)
    assert made.weights["2"] == (0.25, 0.25)


def test_mean_is_over_the_raters_who_annotated_a_frame():
    first = labels([0.2, np.nan, np.nan, np.nan], outside=[3])
    second = labels([0.4, 0.6, np.nan, np.nan], outside=[3])
    made = combine({"a": first, "b": second}).labels
    np.testing.assert_allclose(made.values[:, 0], [0.3, 0.6, np.nan, np.nan], atol=1e-6)
    assert made.source.tolist() == [ANNOTATED, ANNOTATED, NOT_ANNOTATED, OUTSIDE]


def test_evaluator_weighted_estimator():
    noisy = RATINGS.copy()
    noisy[:, 3] = RNG.normal(size=400)
    made = combine(raters(noisy), "ewe")
    wanted = np.array([np.corrcoef(noisy[:, k], noisy.mean(axis=1))[0, 1] for k in range(4)])
    wanted /= wanted.sum()
    np.testing.assert_allclose([made.weights[str(k)][0] for k in range(4)], wanted, atol=1e-6)
    np.testing.assert_allclose(made.labels.values[:, 0], noisy @ wanted, atol=1e-6)
    error = np.abs(made.labels.values[:, 0] - 0.6 * TRUTH).mean()
    assert error < np.abs(combine(raters(noisy)).labels.values[:, 0] - 0.6 * TRUTH).mean()


def test_opposite_rater_has_no_weight_and_constant_raters_have_equal_ones():
    opposite = np.column_stack([TRUTH, TRUTH, TRUTH, -TRUTH])
    assert combine(raters(opposite), "ewe").weights["3"] == (0.0, 0.0)
    constant = np.full((10, 2), 0.3)
    assert combine(raters(constant), "ewe").weights["0"] == (0.5, 0.5)


def test_agreement_equals_independent_formulas():
    made = agreement(combine(raters()).moments)["valence"]
    x = RATINGS.astype(np.float32).astype(np.float64)
    pairs = [(i, j) for i in range(4) for j in range(i)]
    covariance = np.cov(x.T, bias=True)
    lin = [
        2 * covariance[i, j] / (covariance[i, i] + covariance[j, j] + (x[:, i].mean() - x[:, j].mean()) ** 2)
        for i, j in pairs
    ]
    assert made.ccc == pytest.approx(np.mean(lin), abs=1e-9)
    assert made.pcc == pytest.approx(np.mean([np.corrcoef(x.T)[i, j] for i, j in pairs]), abs=1e-9)
    cronbach = 4 / 3 * (1 - x.var(axis=0, ddof=1).sum() / x.sum(axis=1).var(ddof=1))
    assert made.alpha == pytest.approx(cronbach, abs=1e-9)
    assert made.frames == 6 * 400
    assert made.attributes()["cronbach_alpha"] == made.alpha


def test_agreement_over_videos_equals_that_of_the_concatenated_frames():
    count = AgreementCount()
    for part in (slice(0, 150), slice(150, 400)):
        count.add(combine(raters(RATINGS[part])))
    count.add(combine({"": labels(TRUTH)}))
    assert count.videos == 2
    whole = agreement(combine(raters()).moments)
    for dimension, score in agreement(count.moments).items():
        assert score.ccc == pytest.approx(whole[dimension].ccc, abs=1e-9)
        assert score.alpha == pytest.approx(whole[dimension].alpha, abs=1e-9)


def test_raters_without_a_common_frame_have_no_agreement():
    made = combine({"a": labels([0.1, np.nan]), "b": labels([np.nan, 0.3])}, "ewe")
    assert np.allclose(made.labels.values[:, 0], [0.1, 0.3])
    scores = agreement(made.moments)["valence"]
    assert np.isnan([scores.ccc, scores.pcc, scores.alpha]).all()
    assert scores.attributes() == {"ccc": None, "pcc": None, "cronbach_alpha": None, "frames": 0}


def test_alpha_is_that_of_a_panel_where_each_video_has_other_raters():
    """Twelve raters, three a video: the labels are means over three, and alpha is their reliability."""
    rng = np.random.default_rng(0)
    count, alphas = AgreementCount(), []
    for video in range(4):
        ratings = TRUTH[:, None] + rng.normal(size=(400, 3))
        count.add(combine({f"{video}-{k}": labels(ratings[:, k]) for k in range(3)}))
        covariance = np.cov(ratings.T)
        alphas.append(1.5 * (1 - np.trace(covariance) / covariance.sum()))
    assert count.agreement()["valence"].alpha == pytest.approx(np.mean(alphas), abs=0.01)
    assert AgreementCount().agreement() == {}
