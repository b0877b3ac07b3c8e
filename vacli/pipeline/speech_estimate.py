"""The estimate of a speech model, combined with that of the run (`va predict --speech-model`)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vacli.features.registry import EmotionColumns
from vacli.inference.fusion import precision_weighted
from vacli.inference.prediction import Trajectory
from vacli.inference.states import FrameState
from vacli.inference.voice import MIN_VOICE_WEIGHT

WITH_VOICE = {FrameState.VISUAL: FrameState.AUDIOVISUAL, FrameState.NONE: FrameState.AUDIO}
UNUSABLE = (FrameState.NONE, FrameState.NON_SPEECH)  # the run's values are based on nothing


def speech_estimate(
    rows: np.ndarray, columns: EmotionColumns, voice_weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The values (T, 2) in [-1, 1] of a speech model and their standard deviations (T, 2), NaN if missing.

    rows: (T, D) of the feature. voice_weight (T,): from 0 to 1. The variance is divided by it, and below
    MIN_VOICE_WEIGHT the estimate is missing.
    """
    values = (2 * rows[:, [columns.valence, columns.arousal]].astype(np.float64) - 1).clip(-1, 1)
    weight = np.where(voice_weight >= MIN_VOICE_WEIGHT, voice_weight, np.nan)
    return values, np.asarray(columns.std) / np.sqrt(weight)[:, np.newaxis]


def fuse_speech(
    predicted: Trajectory, rows: np.ndarray, columns: EmotionColumns, voice_weight: np.ndarray
) -> Trajectory:
    """A calibrated trajectory combined with a speech model's estimate by their inverse variances.

    rows, voice_weight: as for `speech_estimate`, at the trajectory's T times. Frames without a voice are
    unchanged; where the run's values are based on nothing, the speech model's are used.
    """
    values, std = speech_estimate(rows, columns, voice_weight)
    used = np.isfinite(values + std).all(axis=1) & (predicted.states != FrameState.NON_SPEECH)
    if not used.any() or predicted.uncertainty is None:
        return predicted
    usable = ~np.isin(predicted.states, UNUSABLE)[:, np.newaxis]
    own = np.where(usable, predicted.values, np.nan)
    fused, uncertainty = precision_weighted([own, values], [predicted.uncertainty, std])
    states = predicted.states.astype(object)
    for state, voiced in WITH_VOICE.items():
        states[used & (predicted.states == state)] = str(voiced)
    here = used[:, np.newaxis]
    return replace(
        predicted,
        values=np.where(here, fused, predicted.values).astype(np.float32),
        uncertainty=np.where(here, uncertainty, predicted.uncertainty).astype(np.float32),
        states=states.astype(str),
    )
