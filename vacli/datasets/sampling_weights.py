"""Drawing labelled pieces so that arousal says nothing of valence.

In a corpus of acted emotion one dimension often tells the other: most that is loud is unpleasant, most that
is calm is not. A model then reads valence off arousal, which is wrong of the next corpus. Under the chances
made here the two do not go together, so that it must find what else valence shows in.
"""

from __future__ import annotations

import numpy as np

RIDGE = 1e-3  # keeps the chances finite where labels cannot be balanced, as when all are unpleasant


def balanced_chances(labels: np.ndarray) -> np.ndarray:
    """The most even probabilities under which valence has mean 0 and no covariance with arousal.

    Those of greatest entropy are proportional to exp(a V + b V A), where a and b minimise the logarithm of
    their sum (Jaynes 1957). A small penalty on a and b leaves something of both moments, and where labels
    cannot be balanced most of them: then few pieces are drawn again and again.

    labels: (N, 2) valence and arousal. Returns: (N,) float64, sum 1.
    """
    from scipy.optimize import minimize
    from scipy.special import logsumexp, softmax

    valence, arousal = np.asarray(labels, np.float64).T
    moments = np.stack([valence, valence * arousal], axis=1)

    def potential(tilt: np.ndarray) -> tuple[float, np.ndarray]:
        slope = moments.T @ softmax(moments @ tilt)
        return logsumexp(moments @ tilt) + RIDGE / 2 * tilt @ tilt, slope + RIDGE * tilt

    return softmax(moments @ minimize(potential, np.zeros(2), jac=True).x)
