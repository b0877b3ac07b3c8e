"""Pooling of the probabilities of successive windows: their mean, expanded in time."""

from __future__ import annotations

import numpy as np

from vacli.features.speech_activity.loudness import moving_maximum, moving_mean

MEAN_WINDOWS, EXPANSION_WINDOWS = 15, 15
POOLED_WINDOWS = MEAN_WINDOWS // 2 + EXPANSION_WINDOWS // 2  # on each side


def pooled_span(first_at: float, last_at: float) -> tuple[int, int]:
    """The windows, first and end, that the pooled values between two positions depend on."""
    return max(int(first_at) - POOLED_WINDOWS - EXPANSION_WINDOWS, 0), int(last_at) + 2 + POOLED_WINDOWS


def pooled(probabilities: np.ndarray, first: int, at: np.ndarray) -> np.ndarray:
    """The pooled probabilities at positions (N,) in windows, between their centres by interpolation.

    probabilities: (W,) of the windows from number `first` on.
    """
    mean = moving_mean(probabilities, MEAN_WINDOWS)
    numbers = np.arange(first, first + len(probabilities))
    return np.interp(at, numbers, moving_maximum(mean, EXPANSION_WINDOWS))
