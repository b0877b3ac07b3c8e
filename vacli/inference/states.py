"""The streams that a frame's prediction is based on."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import numpy as np

from vacli.spec import AUDIO, VISUAL


class FrameState(StrEnum):
    """The streams that a frame has, as far as the errors of the predictions differ."""

    AUDIOVISUAL = "audiovisual"
    VISUAL = "visual"
    AUDIO = "audio"
    AUDIO_ONLY = "audio_only"  # sound in a recording that never shows a face
    NON_SPEECH = "non_speech"  # the same, but the sound is not speech
    IMAGE = "image"  # a single picture
    NONE = "none"


UNMEASURED = (FrameState.NONE, FrameState.NON_SPEECH)  # their labels do not measure the prediction's error
_OF_STREAMS = {
    (): FrameState.NONE,
    (AUDIO,): FrameState.AUDIO,
    (VISUAL,): FrameState.VISUAL,
    (AUDIO, VISUAL): FrameState.AUDIOVISUAL,
}


def states_of(present: Mapping[str, np.ndarray]) -> np.ndarray:
    """(T,) str: the state of each frame. present: stream -> (T,) bool.

    Streams that are neither visual nor audio have no state of their own: their names are joined by "+".
    """
    names = sorted(present)
    available = np.stack([present[name] for name in names], axis=1)
    combinations = [
        tuple(n for k, n in enumerate(names) if number >> k & 1) for number in range(1 << len(names))
    ]
    table = [str(_OF_STREAMS.get(streams, "+".join(streams))) for streams in combinations]
    return np.array(table)[available @ (1 << np.arange(len(names)))]


def mark_audio_only(states: np.ndarray) -> np.ndarray:
    """The states (T,) of a recording that never shows a face: AUDIO becomes AUDIO_ONLY."""
    return np.where(states == FrameState.AUDIO, str(FrameState.AUDIO_ONLY), states)


_WITHOUT_VOICE = {
    FrameState.AUDIOVISUAL: FrameState.VISUAL,
    FrameState.AUDIO: FrameState.NONE,
    FrameState.AUDIO_ONLY: FrameState.NON_SPEECH,
}


def without_voice(states: np.ndarray) -> np.ndarray:
    """The states (T,) of the same frames if their sound is no voice of the person."""
    names, numbers = np.unique(states, return_inverse=True)
    return np.array([str(_WITHOUT_VOICE.get(name, name)) for name in names])[numbers]
