"""From the outputs of a run's models to calibrated estimates of valence and arousal.

`va predict` and `va calibrate` share this. Each frame has two estimates by the run's error models: one as if
its sound were the voice of the person, and one as if there were no such voice. The result is the mean of
their mixture by the frame's voice weight, and its standard deviation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vacli.inference.calibration import Calibration
from vacli.inference.ensemble import EnsembleOutput
from vacli.inference.error_model import Estimate
from vacli.inference.speech_detection import SpeechDetector, speech_context_frames
from vacli.inference.states import FrameState, without_voice
from vacli.inference.voice import MIN_VOICE_WEIGHT


@dataclass(frozen=True, eq=False, kw_only=True)
class Postprocessed:
    """values (T, 2) in [-1, 1]; uncertainty (T, 2) or None; states (T,) of `FrameState`."""

    values: np.ndarray
    uncertainty: np.ndarray | None
    states: np.ndarray


@dataclass(frozen=True, eq=False)
class PostProcessor:
    """What a run knows about the errors of its predictions.

    audio_only: the recording never shows a face. speech: the detector of the run's speech; None: all sound
    counts as the voice of the person.
    """

    calibration: Calibration | None = None
    speech: SpeechDetector | None = None
    audio_only: bool = False

    def context_frames(self, times_s: np.ndarray) -> int:
        """The number of frames around each frame that its voice weight needs."""
        return speech_context_frames(times_s) if self.audio_only and self.speech is not None else 0

    def __call__(self, output: EnsembleOutput) -> Postprocessed:
        """The mixture of the estimates with and without a voice.

        The uncertainty of an uncalibrated run is the standard deviation of its models; its values change
        only where the recording never shows a face: without a voice they are 0.
        """
        silent = replace(output, states=without_voice(output.states))
        states = voiced_states(output)
        if self.calibration is None:
            neutral = silent.states == FrameState.NON_SPEECH
            weight = np.where(neutral, output.voice_weight, 1.0)[:, np.newaxis]
            values = (output.values * weight).astype(output.values.dtype)
            return Postprocessed(values=values, uncertainty=output.ensemble_std, states=states)
        voiced, voiceless = (self.calibration.estimate(given) for given in (output, silent))
        mixed = _mixture(voiced, voiceless, output.voice_weight)
        return Postprocessed(values=mixed.values, uncertainty=mixed.std, states=states)


def voiced_states(output: EnsembleOutput) -> np.ndarray:
    """The states (T,) of the frames, without voice where it has less than MIN_VOICE_WEIGHT."""
    is_voice = output.voice_weight >= MIN_VOICE_WEIGHT
    return np.where(is_voice, output.states, without_voice(output.states))


def _mixture(one: Estimate, other: Estimate, weight: np.ndarray) -> Estimate:
    """Mean and standard deviation of mixtures; weight (T,): of `one`."""
    w = weight[:, np.newaxis]
    values = w * one.values + (1 - w) * other.values
    squares = w * (_square(one.std) + _square(one.values)) + (1 - w) * (
        _square(other.std) + _square(other.values)
    )
    std = np.sqrt(np.maximum(squares - _square(values), 0.0))
    return Estimate((values + 0.0).astype(np.float32), std.astype(np.float32))  # + 0.0: no negative zero


def _square(values: np.ndarray) -> np.ndarray:
    return np.square(values, dtype=np.float64)
