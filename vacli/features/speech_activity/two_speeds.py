"""Silero VAD on a sound and on the same sound at half speed.

Screams have a pitch at which the network finds no speech. At half speed their pitch is that of speech.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from vacli.features.speech_activity.network import INITIAL_STATE, OVERLAP, SileroVad, State

HALF_TAPS = 8  # of the interpolation, on each side of a new sample


class TwoStates(NamedTuple):
    """The state of the network for the sound as it is, and for the sound at half speed."""

    plain: State
    slow: State


INITIAL_STATES = TwoStates(INITIAL_STATE, INITIAL_STATE)


class TwoSpeedVad:
    """The larger probability of speech of both speeds, for 16 kHz."""

    def __init__(self, path: Path) -> None:
        self._network = SileroVad(path)

    def probabilities(
        self, samples: np.ndarray, states: TwoStates = INITIAL_STATES
    ) -> tuple[np.ndarray, TwoStates]:
        """Return the probability of speech in each of W windows, (W,) float32, and the states after them.

        samples: (OVERLAP + W * HOP,) float32, W at least 1.
        """
        plain, plain_state = self._network.probabilities(samples, states.plain)
        slow, slow_state = self._network.probabilities(at_half_speed(samples), states.slow)
        return np.maximum(plain, slow.reshape(-1, 2).mean(axis=1)), TwoStates(plain_state, slow_state)


def at_half_speed(samples: np.ndarray) -> np.ndarray:
    """Return the samples (OVERLAP + N,) and new ones between them, (OVERLAP + 2 N,) float32.

    The result is late by HALF_TAPS samples of `samples`, so that it needs none after the last one.
    """
    new = np.convolve(samples, _half_sample_filter(), mode="valid")  # [i] is at i + HALF_TAPS - 1/2
    count = len(samples) - OVERLAP // 2  # the overlap of the result lasts half as long
    pairs = np.stack([samples[-count - HALF_TAPS : -HALF_TAPS], new[-count:]], axis=1)
    return pairs.reshape(-1).astype(np.float32)


def _half_sample_filter() -> np.ndarray:
    """A windowed sinc that interpolates halfway between two samples, (2 HALF_TAPS,)."""
    at = np.arange(2 * HALF_TAPS) - HALF_TAPS + 0.5
    taps = np.sinc(at) * np.cos(np.pi * at / (2 * HALF_TAPS)) ** 2
    return taps / taps.sum()
