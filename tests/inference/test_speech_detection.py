"""Sound that varies like the training speech scores 1 for any speaker; other sound scores 0."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from scipy.signal import lfilter
from scipy.spatial.distance import mahalanobis

from vacli.inference.speech_detection import (
    MAX_Z,
    MIN_MOVEMENT,
    NON_SPEECH_DISTANCE,
    RIDGE,
    SPEECH_DISTANCE,
    SpeechDetector,
    speech_context_frames,
)

COLUMNS = 6
FRAMES = 40


def talk(frames: int, seed: int, shift: float = 0.0, movement: float = 1.0) -> np.ndarray:
    """(frames, 6) descriptors of speech: a random walk around the speaker's mean."""
    rng = np.random.default_rng(seed)
    moving = lfilter([0.6], [1, -0.8], rng.normal(size=(frames, COLUMNS)), axis=0)
    return (30 + shift + rng.normal(0, 0.3, COLUMNS) + movement * moving).astype(np.float32)


@pytest.fixture(scope="module")
def speech() -> SpeechDetector:
    recordings = [talk(70 + seed, seed) for seed in range(60)]
    return SpeechDetector.fit(recordings, [FRAMES] * 60)


def columns_at(speech: SpeechDetector, rows: np.ndarray, t: int) -> np.ndarray:
    """Means and log standard deviations around one frame, standardised, from the definition."""
    around = rows[max(t - FRAMES // 2, 0) : t + FRAMES // 2 + 1].astype(np.float64)
    around = around[np.isfinite(around).all(axis=1)]
    both = np.concatenate([around.mean(axis=0), np.log(around.std(axis=0) + speech.min_movement)])
    return np.clip((both - speech.centre) / speech.scale, -MAX_Z, MAX_Z)


def test_an_unseen_speaker_scores_one(speech):
    assert (speech.score(talk(200, 99, shift=0.5), FRAMES) == 1).all()
    assert (speech.score(talk(16, 98), FRAMES) > 0).all()  # just above the minimum


@pytest.mark.parametrize("rows", [1, 2, 11])
def test_sound_that_is_too_short_scores_one(speech, rows):
    assert (speech.score(talk(rows, 98, movement=0), FRAMES) == 1).all()
    assert (speech.score(talk(12, 98, movement=0), FRAMES) == 0).all()
    among = np.full((60, COLUMNS), np.nan, np.float32)
    among[5 : 5 + rows] = talk(rows, 98, movement=0)
    assert (speech.score(among, FRAMES) == 1).all()


@pytest.mark.parametrize("movement", [0.0, 0.02, 20.0])
def test_sound_that_varies_too_little_or_too_much_scores_zero(speech, movement):
    assert (speech.score(talk(200, 99, movement=movement), FRAMES) == 0).all()


def test_the_score_is_that_of_the_mahalanobis_distance(speech):
    recordings = [talk(70 + seed, seed) for seed in range(60)]
    fitted = np.array([columns_at(speech, r, t) for r in recordings for t in range(0, len(r), FRAMES // 20)])
    inverse = np.linalg.inv(np.cov(fitted.T, ddof=0) + RIDGE * np.eye(2 * COLUMNS))
    partly = 0
    for movement in (1.0, 0.7, 0.65, 0.6, 0.55, 0.5, 0.1):
        rows = talk(120, 5, movement=movement)
        rows[30:34] = np.nan
        score = speech.score(rows, FRAMES)
        assert (score[30:34] == 1).all()
        for t in (0, 17, 29, 34, 80, 119):
            away = mahalanobis(columns_at(speech, rows, t), fitted.mean(axis=0), inverse)
            expected = np.clip(
                (NON_SPEECH_DISTANCE - away**2 / (2 * COLUMNS)) / (NON_SPEECH_DISTANCE - SPEECH_DISTANCE),
                0,
                1,
            )
            assert score[t] == pytest.approx(expected, abs=0.01)
            partly += 0.05 < expected < 0.95
    assert partly > 2


def test_columns_must_vary_together_as_in_the_training_speech():
    def lively(even: float, odd: float, seed: int) -> np.ndarray:
        return (30 + np.tile((even, odd), COLUMNS // 2) * (talk(120, seed) - 30)).astype(np.float32)

    how = np.exp(np.random.default_rng(0).uniform(-1.5, 1.5, 80))
    fitted = SpeechDetector.fit([lively(x, x, seed) for seed, x in enumerate(how)], [FRAMES] * 80)
    for both in (0.3, 1.0, 3.0):
        assert fitted.score(lively(both, both, 99), FRAMES).mean() > 0.9
    assert fitted.score(lively(3.0, 0.3, 99), FRAMES).mean() < 0.1
    assert fitted.score(lively(0.3, 3.0, 99), FRAMES).mean() < 0.1


def test_fit_ignores_a_few_recordings_that_are_not_speech(speech):
    rows = [talk(70 + seed, seed) for seed in range(60)]
    noise = [np.full((70, COLUMNS), 3.0, np.float32)] * 3  # one in twenty is something else
    other = SpeechDetector.fit(rows + noise, [FRAMES] * 63)
    np.testing.assert_allclose(other.centre, speech.centre, atol=0.3)
    assert (other.score(noise[0], FRAMES) == 0).all()
    assert (other.score(talk(200, 99), FRAMES) == 1).all()
    np.testing.assert_allclose(speech.centre[:COLUMNS], 30, atol=0.5)
    assert len(speech.min_movement) == COLUMNS
    assert all(0 < min_movement < MIN_MOVEMENT * 2 for min_movement in speech.min_movement)


def test_fit_is_finite_if_every_recording_has_outliers():
    rng = np.random.default_rng(0)
    far = np.tile([500, 0, 0, 0, -500, 0, 0, 0], 5)  # other columns in every recording
    odd = [rng.normal(np.roll(far, n), 1, (70, 40)) for n in range(40)]
    made = SpeechDetector.fit(odd, [FRAMES] * 40)
    assert all(np.isfinite(x).all() for x in made.arrays().values())


def test_a_file_preserves_the_detector(speech, tmp_path):
    save_file(speech.arrays(), tmp_path / "speech.safetensors")
    read = SpeechDetector.from_arrays(load_file(tmp_path / "speech.safetensors"), COLUMNS)
    rows = talk(120, 5, movement=0.6)
    np.testing.assert_allclose(read.score(rows, FRAMES), speech.score(rows, FRAMES), atol=1e-3)
    for arrays, columns in (({"centre": speech.centre}, COLUMNS), (speech.arrays(), COLUMNS + 1)):
        with pytest.raises(ValueError, match="no speech detector"):
            SpeechDetector.from_arrays(arrays, columns)


def test_missing_rows_and_constant_columns_are_accepted(speech):
    rows = [np.column_stack([talk(80, seed), np.full(80, 7.0)]).astype(np.float32) for seed in range(20)]
    made = SpeechDetector.fit([*rows, np.full((5, COLUMNS + 1), np.nan, np.float32)], [FRAMES] * 21)
    assert all(np.isfinite(x).all() for x in made.arrays().values())
    assert (made.score(rows[0], FRAMES) == 1).all()
    assert speech.score(np.full((3, COLUMNS), np.nan, np.float32), FRAMES).tolist() == [1, 1, 1]
    assert len(speech.score(np.zeros((0, COLUMNS), np.float32), FRAMES)) == 0


def test_context_frames_of_a_clock():
    assert speech_context_frames(np.arange(90) / 25) == 100
    assert speech_context_frames(np.arange(90) / 59.94) == 240
    assert speech_context_frames(np.arange(90) / 23.976) == 96
    assert speech_context_frames(np.arange(90) / 15) == 0
    assert speech_context_frames(np.zeros(1)) == 0
