"""Chances under which arousal says nothing of valence, against a general solver and where there are none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from vacli.circumplex import CALM_VA, EMOTION_VA
from vacli.datasets.sampling_weights import balanced_chances

ACTED = np.array([*EMOTION_VA[:7], CALM_VA])  # the eight of RAVDESS


def covariance(labels: np.ndarray, chances: np.ndarray) -> float:
    valence, arousal = labels.T
    return chances @ (valence * arousal) - (chances @ valence) * (chances @ arousal)


def test_valence_is_in_the_middle_and_goes_with_nothing():
    chances = balanced_chances(ACTED)
    assert chances.sum() == pytest.approx(1)
    assert abs(chances @ ACTED[:, 0]) < 0.01
    assert abs(covariance(ACTED, chances)) < 0.002
    equal = np.full(len(ACTED), 1 / len(ACTED))
    assert abs(equal @ ACTED[:, 0]) > 0.1
    assert abs(covariance(ACTED, equal)) > 0.02


def test_no_other_chances_that_do_are_more_even():
    """The greatest entropy by a solver that knows nothing of its form."""
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
    np.testing.assert_allclose(balanced_chances(ACTED), best.x, atol=2e-3)


def test_what_is_balanced_already_stays_even():
    corners = np.array([[v, a] for v in (-0.7, 0.7) for a in (-0.4, 0.6)])
    np.testing.assert_allclose(balanced_chances(corners), 0.25, atol=1e-6)


@pytest.mark.parametrize("labels", [[[-0.6, 0.7], [-0.7, 0.3]], [[0.5, 0.5]], [[0.0, 0.0], [0.0, 1.0]]])
def test_what_cannot_be_balanced_still_has_chances(labels):
    chances = balanced_chances(np.array(labels))
    assert np.isfinite(chances).all()
    assert (chances >= 0).all()
    assert chances.sum() == pytest.approx(1)
