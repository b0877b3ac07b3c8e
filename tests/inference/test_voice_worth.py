"""A voice beside a face counts by what it is worth there."""

from __future__ import annotations

import numpy as np

from vacli.inference.prediction import audio_availability, predict_sequence
from vacli.inference.run import BUNDLED, load_run
from vacli.inference.voice import WORTH_BESIDE_CLEAR_FACE, VoiceEvidence, voice_worth
from vacli.sequences.base import FeatureSequence
from vacli.spec import AUDIO

COUNT = 60
TIMES_S = np.arange(COUNT) / 25
HEARD = VoiceEvidence(np.ones(COUNT), np.ones(COUNT))


def test_the_worth_grows_with_the_difficulty_and_is_1_without_a_face():
    worth = voice_worth(np.array([0.0, 0.5, 1.0, np.nan]))
    assert worth[0] == WORTH_BESIDE_CLEAR_FACE < worth[1] < worth[2] == worth[3] == 1


def rows(seed: int, *, with_face: bool = True) -> FeatureSequence:
    """A constant face with a voice that varies with the seed."""
    run = load_run(BUNDLED, "cpu")
    visual, audio = run.recipe.model.streams
    face = np.full((COUNT, visual.dim), 0.1 if with_face else np.nan, np.float32)
    voice = np.random.default_rng(seed).normal(size=audio.dim) * np.ones((COUNT, 1))
    return FeatureSequence(
        video="a", times_s=TIMES_S, streams={visual.name: face, audio.name: voice.astype(np.float32)}
    )


def influence(difficulty: float | None) -> float:
    """The mean difference of the predictions for two voices."""
    run = load_run(BUNDLED, "cpu")
    with_face = difficulty is not None
    given = None if difficulty is None else np.full(COUNT, difficulty)
    one, other = (
        predict_sequence(run, rows(seed, with_face=with_face), TIMES_S, HEARD, given).values
        for seed in (1, 2)
    )
    return float(np.abs(one - other).mean())


def test_a_voice_changes_the_estimate_of_a_clear_face_less_than_that_of_a_difficult_one():
    assert 0 < influence(0.0) < 0.6 * influence(1.0)


def test_all_of_a_voice_is_used_in_rows_without_a_face():
    run = load_run(BUNDLED, "cpu")
    mixed = np.array([np.nan, 0.0])
    given = audio_availability(run, VoiceEvidence(np.ones(2), np.ones(2)), mixed)
    np.testing.assert_allclose(given[AUDIO], [1.0, WORTH_BESIDE_CLEAR_FACE])
    assert influence(None) > 0
