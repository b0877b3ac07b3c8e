"""The estimate of a speech model beside that of a run."""

from __future__ import annotations

import numpy as np
import pytest

from vacli.features.registry import EXTRACTORS, EmotionColumns, speech_models
from vacli.inference.prediction import Trajectory
from vacli.inference.states import FrameState
from vacli.pipeline.speech_estimate import fuse_speech, speech_estimate

COLUMNS = EmotionColumns(valence=2, arousal=0, std=(0.4, 0.2))


def predicted(*states: FrameState) -> Trajectory:
    count = len(states)
    return Trajectory(
        video="clip",
        times_s=np.arange(count) / 25,
        values=np.zeros((count, 2), np.float32),
        uncertainty=np.full((count, 2), 0.2, np.float32),
        ensemble_std=None,
        states=np.array([str(state) for state in states]),
    )


def rows_of(count: int, arousal: float = 0.75, valence: float = 0.25) -> np.ndarray:
    return np.tile(np.array([arousal, 0.9, valence], np.float32), (count, 1))


def test_the_scale_from_0_to_1_becomes_that_from_minus_1_to_1():
    rows = np.array([[1.0, 0.3, 0.0], [0.5, 0.3, 0.5], [1.2, 0.3, -0.1]], np.float32)
    values, std = speech_estimate(rows, COLUMNS, np.ones(3))
    np.testing.assert_allclose(values, [[-1, 1], [0, 0], [-1, 1]], atol=1e-7)
    np.testing.assert_allclose(std, [[0.4, 0.2]] * 3)


def test_a_doubtful_voice_has_a_larger_variance_and_one_below_half_is_missing():
    _, std = speech_estimate(rows_of(3), COLUMNS, np.array([1.0, 0.64, 0.49]))
    np.testing.assert_allclose(std, [[0.4, 0.2], [0.5, 0.25], [np.nan, np.nan]])


def test_values_are_weighted_by_their_inverse_variances():
    fused = fuse_speech(predicted(FrameState.AUDIOVISUAL), rows_of(1), COLUMNS, np.ones(1))
    valence = -0.5 * (1 / 0.4**2) / (1 / 0.4**2 + 1 / 0.2**2)
    np.testing.assert_allclose(fused.values, [[valence, 0.25]], atol=1e-6)
    chi = 0.5 / np.sqrt(0.2**2 + 0.2**2)  # the arousals disagree by 1.8 of their standard deviations
    expected = [[1 / np.sqrt(1 / 0.4**2 + 1 / 0.2**2) * np.sqrt(1.25), 0.2 / np.sqrt(2) * chi]]
    np.testing.assert_allclose(fused.uncertainty, expected, atol=1e-6)
    assert fused.values.dtype == fused.uncertainty.dtype == np.float32


def test_frames_without_a_voice_are_unchanged():
    given = predicted(FrameState.AUDIOVISUAL, FrameState.VISUAL, FrameState.NON_SPEECH, FrameState.AUDIO)
    rows = rows_of(4)
    rows[3] = np.nan
    fused = fuse_speech(given, rows, COLUMNS, np.array([0.0, 0.3, 1.0, 1.0]))
    assert fused is given


def test_a_voice_is_named_in_the_state_and_replaces_values_that_are_based_on_nothing():
    given = predicted(FrameState.VISUAL, FrameState.NONE, FrameState.NONE)
    fused = fuse_speech(given, rows_of(3), COLUMNS, np.array([1.0, 1.0, 0.0]))
    assert fused.states.tolist() == [FrameState.AUDIOVISUAL, FrameState.AUDIO, FrameState.NONE]
    np.testing.assert_allclose(fused.values[1:], [[-0.5, 0.5], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(fused.uncertainty[1:], [[0.4, 0.2], [0.2, 0.2]], atol=1e-6)


@pytest.mark.parametrize("name", speech_models())
def test_a_speech_model_of_the_table_has_columns_and_errors(name):
    columns = EXTRACTORS[name].emotion
    assert columns.valence != columns.arousal
    assert all(0 < std < 1 for std in columns.std)
