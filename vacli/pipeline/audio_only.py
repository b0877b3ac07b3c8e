"""Predict a recording from its sound, with an audio model."""

from __future__ import annotations

import numpy as np

from vacli.clock import interpolate
from vacli.inference.prediction import Trajectory, predict_sequence
from vacli.pipeline.live import LoadedModel, joined_features
from vacli.pipeline.observation import Observation
from vacli.sequences.base import FeatureSequence


def predict_audio_only(name: str, loaded: LoadedModel, sound: Observation) -> Trajectory:
    """The trajectory of a sound from an audio model, all at once."""
    streams = {s.name: joined_features(s, sound.features) for s in loaded.model.recipe.model.streams}
    rows = FeatureSequence(video=name, times_s=sound.times_s, streams=streams)
    predicted = predict_sequence(loaded.model, rows, sound.times_s, sound.voice)
    return loaded.fused(predicted, sound.features, sound.voice.weight)


def resample_trajectory(trajectory: Trajectory, times_s: np.ndarray) -> Trajectory:
    """A trajectory at other times (N,): interpolated linearly, constant beyond its ends, nearest states."""
    own_s = trajectory.times_s
    nearest = np.searchsorted((own_s[1:] + own_s[:-1]) / 2, times_s)

    def resample(x: np.ndarray) -> np.ndarray:
        return interpolate(times_s, own_s, x).astype(np.float32)

    return Trajectory(
        video=trajectory.video,
        times_s=times_s,
        values=resample(trajectory.values),
        uncertainty=None if trajectory.uncertainty is None else resample(trajectory.uncertainty),
        ensemble_std=None if trajectory.ensemble_std is None else resample(trajectory.ensemble_std),
        states=trajectory.states[nearest],
    )
