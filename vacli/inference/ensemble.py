"""The outputs of a run's models for the frames of a video, before post-processing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False, kw_only=True)
class EnsembleOutput:
    """The models' outputs for T frames.

    values (T, 2): mean over the models. ensemble_std (T, 2): their standard deviation (1/(n-1)), None for a
    single model. states (T,) of `FrameState`. voice_weight (T,): how much of the sound is the voice of the
    person, see `voice.voice_weight`. difficulty (T, 2): of the face for valence and arousal, by `face_error`
    the expected error, or else from 0, clear, to 1, `faces.quality.face_difficulty`; 0 where unknown.
    """

    values: np.ndarray
    ensemble_std: np.ndarray | None
    states: np.ndarray
    voice_weight: np.ndarray
    difficulty: np.ndarray

    @property
    def spread(self) -> np.ndarray:
        """(T, 2) the ensemble_std, 0 for a single model."""
        return np.zeros_like(self.values) if self.ensemble_std is None else self.ensemble_std

    def rows(self, kept: np.ndarray) -> EnsembleOutput:
        """Some of the frames; kept: (T,) bool or their numbers."""
        return EnsembleOutput(
            values=self.values[kept],
            ensemble_std=None if self.ensemble_std is None else self.ensemble_std[kept],
            states=self.states[kept],
            voice_weight=self.voice_weight[kept],
            difficulty=self.difficulty[kept],
        )


def concatenate(outputs: Sequence[EnsembleOutput]) -> EnsembleOutput:
    """The frames of several videos in one record; a single model's ensemble_std counts as 0."""
    return EnsembleOutput(
        values=np.concatenate([o.values for o in outputs]),
        ensemble_std=np.concatenate([o.spread for o in outputs]),
        states=np.concatenate([o.states for o in outputs]),
        voice_weight=np.concatenate([o.voice_weight for o in outputs]),
        difficulty=np.concatenate([o.difficulty for o in outputs]),
    )
