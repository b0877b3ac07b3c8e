"""VGGish embeddings of a sound that is still arriving.

A row is that of the whole sound once its window of 0.975 s has arrived: at once for windows that end at the
time of the row (`causal`), about half a second later for those around it (`centre`). Until then it is that of
the latest whole window.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vacli.features.vggish.log_mel import HOP, RATE_HZ, WINDOW, log_mel_around
from vacli.features.vggish.network import DIM, FRAMES

KEPT_S = 6.0  # of samples: the latest window, and those of rows that wait
KEPT_ROWS = 8


class LiveVggish:
    """See `features.protocols.LiveAudioStream`.

    embed: spectrum (FRAMES, 64) -> (DIM,). first_frame: time of a row -> the spectrum's frame, of 10 ms, that
    its window begins with; it may be negative.
    """

    def __init__(
        self, embed: Callable[[np.ndarray], np.ndarray], first_frame: Callable[[float], int]
    ) -> None:
        self._embed, self._first_frame = embed, first_frame
        self._samples = np.zeros(0, np.float32)
        self._dropped = 0  # frames before `_samples`
        self._rows: dict[int, np.ndarray] = {}  # of the last windows

    def add(self, samples: np.ndarray) -> None:
        """See `features.protocols.LiveAudioStream`."""
        self._samples = np.concatenate([self._samples, samples])
        excess = (len(self._samples) - round(KEPT_S * RATE_HZ)) // HOP
        if excess > RATE_HZ // HOP:
            self._samples, self._dropped = self._samples[excess * HOP :], self._dropped + excess

    @property
    def _last_frame(self) -> int:
        """The first frame of the latest whole window."""
        return self._dropped + (len(self._samples) - WINDOW) // HOP - (FRAMES - 1)

    def is_final(self, time_s: float) -> bool:
        """See `features.protocols.LiveAudioStream`."""
        return len(self._samples) > 0 and self._first_frame(time_s) <= self._last_frame

    def row(self, time_s: float) -> tuple[np.ndarray, bool]:
        """See `features.protocols.LiveAudioStream`."""
        if not len(self._samples):
            return np.full(DIM, np.nan, np.float32), False
        first = min(self._first_frame(time_s), self._last_frame)
        if first not in self._rows:
            # Frames before the sound are silent; of longer sounds, all that are asked for are kept.
            spectrum = log_mel_around(self._samples, first - self._dropped, FRAMES)
            self._rows[first] = self._embed(spectrum)
            while len(self._rows) > KEPT_ROWS:
                del self._rows[next(iter(self._rows))]
        return self._rows[first], self.is_final(time_s)

    def close(self) -> None:
        """See `features.protocols.LiveAudioStream`."""
