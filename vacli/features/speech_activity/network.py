"""The voice activity detector Silero VAD 6.2 (https://github.com/snakers4/silero-vad) by ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from vacli.runtime.onnx import open_session

RATE_HZ = 16_000
HOP, OVERLAP = 512, 64  # samples; a window also has the last samples of the window before
HIDDEN = (1, 1, 128)  # shape of the two arrays of the recurrent layer


class State(NamedTuple):
    """The hidden state and the cell state of the recurrent layer."""

    hidden: np.ndarray
    cell: np.ndarray


INITIAL_STATE = State(np.zeros(HIDDEN, np.float32), np.zeros(HIDDEN, np.float32))


class SileroVad:
    """The network for 16 kHz. Its recurrent state makes a probability depend on all sound before."""

    def __init__(self, path: Path) -> None:
        self._session = open_session(path, threads=1)

    def probabilities(self, samples: np.ndarray, state: State = INITIAL_STATE) -> tuple[np.ndarray, State]:
        """Return the probability of speech in each of W windows, (W,) float32, and the state after them.

        samples: (OVERLAP + W * HOP,) float32, W at least 1.
        """
        windows = np.lib.stride_tricks.sliding_window_view(samples, OVERLAP + HOP)[::HOP]
        inputs = {"input": np.ascontiguousarray(windows), "h": state.hidden, "c": state.cell}
        values, hidden, cell = self._session.run(["speech_probs", "hn", "cn"], inputs)
        return values, State(hidden, cell)
