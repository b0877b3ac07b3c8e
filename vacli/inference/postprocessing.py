"""From the outputs of a run's models to calibrated predictions: rescaling, speech gate and uncertainty.

`va predict` and `va calibrate` share this one order of operations: the mean of the models is rescaled
where the recording never shows a face, then shrunk to zero where its sound is not speech, then the
uncertainty is taken from the state of the frame and the spread of the models.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vacli.inference.calibration import Calibration
from vacli.inference.speech_detection import SpeechDetector, speech_context_frames
from vacli.inference.states import FrameState

SPEECH_THRESHOLD = 0.5  # of the speech score; AUDIO_ONLY frames below it become NON_SPEECH


@dataclass(frozen=True, eq=False, kw_only=True)
class EnsembleOutput:
    """The models' outputs for T frames before post-processing.

    values (T, 2): mean over the models. ensemble_std (T, 2): their standard deviation (1/(n-1)), None for a
    single model. states (T,) of `FrameState`. speech_score (T,): from 0, not speech, to 1, speech; 1 where
    speech is not detected.
    """

    values: np.ndarray
    ensemble_std: np.ndarray | None
    states: np.ndarray
    speech_score: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class Postprocessed:
    """values (T, 2) in [-1, 1]; uncertainty (T, 2) or None; states (T,) of `FrameState`."""

    values: np.ndarray
    uncertainty: np.ndarray | None
    states: np.ndarray


@dataclass(frozen=True, eq=False)
class PostProcessor:
    """What a run knows about the errors of its predictions.

    audio_only: the recording never shows a face. speech: the detector of the run's speech, None if it has
    none.
    """

    calibration: Calibration | None = None
    speech: SpeechDetector | None = None
    audio_only: bool = False

    def context_frames(self, times_s: np.ndarray) -> int:
        """The number of frames around each frame that its speech score needs; 0 without a speech gate."""
        return speech_context_frames(times_s) if self.audio_only and self.speech is not None else 0

    def __call__(self, output: EnsembleOutput) -> Postprocessed:
        """Apply rescaling, speech gate and uncertainty.

        The uncertainty of an uncalibrated run is the standard deviation of its models.
        """
        values, uncertainty = output.values, output.ensemble_std
        if self.calibration is not None:
            values = self.calibration.rescale(values, output.states)
        values, states = shrink_to_zero(replace(output, values=values))
        if self.calibration is not None:
            spread = np.zeros_like(values) if uncertainty is None else uncertainty
            uncertainty = self.calibration.uncertainty(spread, states)
        return Postprocessed(values=values, uncertainty=uncertainty, states=states)


def shrink_to_zero(output: EnsembleOutput) -> tuple[np.ndarray, np.ndarray]:
    """Values (T, 2) times the speech score, in AUDIO_ONLY frames, and the states (T,) with NON_SPEECH."""
    gated = output.states == FrameState.AUDIO_ONLY
    if not gated.any():
        return output.values, output.states
    weight = np.where(gated, output.speech_score, 1.0).astype(output.values.dtype)
    non_speech = gated & (output.speech_score < SPEECH_THRESHOLD)
    states = np.where(non_speech, str(FrameState.NON_SPEECH), output.states)
    return output.values * weight[:, np.newaxis] + 0.0, states  # + 0.0: no negative zero


def concatenate(outputs: list[EnsembleOutput]) -> EnsembleOutput:
    """The frames of several videos in one record; a single model's ensemble_std counts as 0."""
    stds = [np.zeros_like(o.values) if o.ensemble_std is None else o.ensemble_std for o in outputs]
    return EnsembleOutput(
        values=np.concatenate([o.values for o in outputs]),
        ensemble_std=np.concatenate(stds),
        states=np.concatenate([o.states for o in outputs]),
        speech_score=np.concatenate([o.speech_score for o in outputs]),
    )
