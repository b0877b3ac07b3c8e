"""The probability of speech in a sound that is still arriving.

A row is what `SpeechActivity` gives for a sound that ends with the added samples. In a longer sound it also
depends on the next seconds: probabilities are pooled over 0.45 s to both sides, and the gain depends on the
loudest syllables of the next 1.5 s.
"""

from __future__ import annotations

import numpy as np

from vacli.features.speech_activity.loudness import levelling_gain
from vacli.features.speech_activity.network import HOP, OVERLAP, RATE_HZ
from vacli.features.speech_activity.pooling import pooled, pooled_span
from vacli.features.speech_activity.two_speeds import INITIAL_STATES, TwoSpeedVad

WINDOW_S = HOP / RATE_HZ
KEPT_WINDOWS = 160  # 5.1 s, more than the gain depends on


class LiveSpeech:
    """See `features.protocols.LiveAudioStream`."""

    def __init__(self, network: TwoSpeedVad) -> None:
        self._network, self._state = network, INITIAL_STATES
        self._waiting = np.zeros(0, np.float32)  # samples of the next window
        self._before = np.zeros(OVERLAP, np.float32)  # with their gain
        self._power = np.zeros(0)
        self._probabilities = np.zeros(0, np.float32)
        self._last_gain: float | None = None
        self._n_windows = 0

    def add(self, samples: np.ndarray) -> None:
        """See `features.protocols.LiveAudioStream`."""
        waiting = np.concatenate([self._waiting, samples])
        whole = len(waiting) // HOP * HOP
        for window in waiting[:whole].reshape(-1, HOP):
            self._advance(window)
        self._waiting = waiting[whole:]

    def _advance(self, window: np.ndarray) -> None:
        power = np.square(window, dtype=np.float64).mean()
        self._power = np.append(self._power, power)[-KEPT_WINDOWS:]
        gain = float(levelling_gain(self._power, WINDOW_S)[-1])
        before = gain if self._last_gain is None else self._last_gain
        # The gain changes linearly from the centre of a window to that of the next one.
        ramp = np.interp(np.arange(HOP), [-HOP / 2, HOP / 2], [before, gain])
        levelled = np.concatenate([self._before, (window * ramp).astype(np.float32)])
        values, self._state = self._network.probabilities(levelled, self._state)
        self._probabilities = np.append(self._probabilities, values)[-KEPT_WINDOWS:]
        self._before, self._last_gain = levelled[-OVERLAP:], gain
        self._n_windows += 1

    def row(self, time_s: float) -> tuple[np.ndarray, bool]:
        """See `features.protocols.LiveAudioStream`; a row is final if its own window is known."""
        at = time_s / WINDOW_S - 0.5  # in windows
        oldest = self._n_windows - len(self._probabilities)
        first, end = pooled_span(at, at)
        first, end = max(first, oldest), min(end, self._n_windows)
        if first >= end:
            return np.full(1, np.nan, np.float32), False
        known = self._probabilities[first - oldest : end - oldest]
        return pooled(known, first, np.array([at])).astype(np.float32), self._n_windows > at

    def is_final(self, time_s: float) -> bool:
        """See `features.protocols.LiveAudioStream`."""
        return self._n_windows > time_s / WINDOW_S - 0.5

    def close(self) -> None:
        """See `features.protocols.LiveAudioStream`."""
