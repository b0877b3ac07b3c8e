"""Sampling weights under which valence and arousal are uncorrelated.

In corpora of acted emotion, valence often follows from arousal: most loud utterances are unpleasant, most
calm ones are not. A model then predicts valence from arousal, which fails on other corpora. With these
weights the two dimensions are uncorrelated, and the model has to use other cues of valence.
"""

from __future__ import annotations

import numpy as np

RIDGE = 1e-3  # keeps the weights finite where labels cannot be balanced, such as when all are unpleasant


def balanced_weights(labels: np.ndarray) -> np.ndarray:
    """The most even probabilities under which valence has mean 0 and no covariance with arousal.

    The distribution of greatest entropy is proportional to exp(a V + b V A), where a and b minimise the
    logarithm of its sum (Jaynes 1957). A small penalty on a and b keeps a part of both moments. Where the
    labels cannot be balanced it keeps most of them; otherwise few items would have all the weight.

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
