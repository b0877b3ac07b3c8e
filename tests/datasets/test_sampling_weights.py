"""Sampling weights under which valence and arousal are uncorrelated, against a general solver."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from vacli.circumplex import CALM_VA, EMOTION_VA
from vacli.datasets.sampling_weights import balanced_weights

ACTED = np.array([*EMOTION_VA[:7], CALM_VA])  # the eight of RAVDESS


def covariance(labels: np.ndarray, weights: np.ndarray) -> float:
    valence, arousal = labels.T
    return weights @ (valence * arousal) - (weights @ valence) * (weights @ arousal)


def test_weighted_valence_has_mean_0_and_no_covariance_with_arousal():
    weights = balanced_weights(ACTED)
    assert weights.sum() == pytest.approx(1)
    assert abs(weights @ ACTED[:, 0]) < 0.01
    assert abs(covariance(ACTED, weights)) < 0.002
    equal = np.full(len(ACTED), 1 / len(ACTED))
    assert abs(equal @ ACTED[:, 0]) > 0.1
    assert abs(covariance(ACTED, equal)) > 0.02


def test_no_other_balanced_weights_have_more_entropy():
    """The greatest entropy by a general solver."""
    valence, arousal = ACTED.T
    best = minimize(
        lambda p: p @ np.log(p),
        np.full(len(ACTED), 1 / len(ACTED)),
        bounds=[(1e-9, 1)] * len(ACTED),
        constraints=[
            {"type": "eq", "fun": lambda p: p.sum() - 1},
            {"type": "eq", "fun": lambda p: p @ valence},
            {"type": "eq", "fun": lambda p: p @ (valence * arousal)},
        ],
        options={"ftol": 1e-12, "maxiter": 500},
    )
    np.testing.assert_allclose(balanced_weights(ACTED), best.x, atol=2e-3)


def test_weights_of_balanced_labels_are_equal():
    corners = np.array([[v, a] for v in (-0.7, 0.7) for a in (-0.4, 0.6)])
    np.testing.assert_allclose(balanced_weights(corners), 0.25, atol=1e-6)


@pytest.mark.parametrize("labels", [[[-0.6, 0.7], [-0.7, 0.3]], [[0.5, 0.5]], [[0.0, 0.0], [0.0, 1.0]]])
def test_labels_that_cannot_be_balanced_have_finite_weights(labels):
    weights = balanced_weights(np.array(labels))
    assert np.isfinite(weights).all()
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1)
