"""What moves as speech does is like it, whoever speaks; what does not is unlike it."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from scipy.signal import lfilter
from scipy.spatial.distance import mahalanobis

from vacli.inference.speech_detection import EASE, FURTHEST, LIKE, STILLEST, UNLIKE, Speech, frames_around

COLUMNS = 6
FRAMES = 40


def talk(frames: int, seed: int, shift: float = 0.0, still: float = 1.0) -> np.ndarray:
    """(frames, 6) descriptors that wander as speech does, about a mean of the speaker's own."""
    rng = np.random.default_rng(seed)
    moving = lfilter([0.6], [1, -0.8], rng.normal(size=(frames, COLUMNS)), axis=0)
    return (30 + shift + rng.normal(0, 0.3, COLUMNS) + still * moving).astype(np.float32)


@pytest.fixture(scope="module")
def speech() -> Speech:
    recordings = [talk(70 + seed, seed) for seed in range(60)]
    return Speech.fit(recordings, [FRAMES] * 60)


def told(speech: Speech, rows: np.ndarray, t: int) -> np.ndarray:
    """Means and movements around one frame in units of the speech's own, from the definition."""
    around = rows[max(t - FRAMES // 2, 0) : t + FRAMES // 2 + 1].astype(np.float64)
    around = around[np.isfinite(around).all(axis=1)]
    both = np.concatenate([around.mean(axis=0), np.log(around.std(axis=0) + speech.least)])
    return np.clip((both - speech.centre) / speech.scale, -FURTHEST, FURTHEST)


def test_another_speaker_is_like_speech(speech):
    assert (speech.likeness(talk(200, 99, shift=0.5), FRAMES) == 1).all()
    assert (speech.likeness(talk(16, 98), FRAMES) > 0).all()  # little more than what is told at all


@pytest.mark.parametrize("rows", [1, 2, 11])
def test_of_what_is_too_short_it_cannot_be_told(speech, rows):
    assert (speech.likeness(talk(rows, 98, still=0), FRAMES) == 1).all()
    assert (speech.likeness(talk(12, 98, still=0), FRAMES) == 0).all()
    among = np.full((60, COLUMNS), np.nan, np.float32)
    among[5 : 5 + rows] = talk(rows, 98, still=0)
    assert (speech.likeness(among, FRAMES) == 1).all()


@pytest.mark.parametrize("still", [0.0, 0.02, 20.0])
def test_what_hardly_moves_or_moves_wildly_is_not(speech, still):
    assert (speech.likeness(talk(200, 99, still=still), FRAMES) == 0).all()


def test_it_is_the_mahalanobis_distance(speech):
    recordings = [talk(70 + seed, seed) for seed in range(60)]
    learned = np.array([told(speech, r, t) for r in recordings for t in range(0, len(r), FRAMES // 20)])
    inverse = np.linalg.inv(np.cov(learned.T, ddof=0) + EASE * np.eye(2 * COLUMNS))
    partly = 0
    for still in (1.0, 0.7, 0.65, 0.6, 0.55, 0.5, 0.1):
        rows = talk(120, 5, still=still)
        rows[30:34] = np.nan
        likeness = speech.likeness(rows, FRAMES)
        assert (likeness[30:34] == 1).all()
        for t in (0, 17, 29, 34, 80, 119):
            away = mahalanobis(told(speech, rows, t), learned.mean(axis=0), inverse)
            expected = np.clip((UNLIKE - away**2 / (2 * COLUMNS)) / (UNLIKE - LIKE), 0, 1)
            assert likeness[t] == pytest.approx(expected, abs=0.01)
            partly += 0.05 < expected < 0.95
    assert partly > 2


def test_columns_that_are_lively_together_in_speech_must_be_so():
    def lively(even: float, odd: float, seed: int) -> np.ndarray:
        return (30 + np.tile((even, odd), COLUMNS // 2) * (talk(120, seed) - 30)).astype(np.float32)

    how = np.exp(np.random.default_rng(0).uniform(-1.5, 1.5, 80))
    learned = Speech.fit([lively(x, x, seed) for seed, x in enumerate(how)], [FRAMES] * 80)
    for both in (0.3, 1.0, 3.0):
        assert learned.likeness(lively(both, both, 99), FRAMES).mean() > 0.9
    assert learned.likeness(lively(3.0, 0.3, 99), FRAMES).mean() < 0.1
    assert learned.likeness(lively(0.3, 3.0, 99), FRAMES).mean() < 0.1


def test_fitted_to_the_middle_of_what_it_was_given(speech):
    rows = [talk(70 + seed, seed) for seed in range(60)]
    noise = [np.full((70, COLUMNS), 3.0, np.float32)] * 3  # one in twenty is something else
    other = Speech.fit(rows + noise, [FRAMES] * 63)
    np.testing.assert_allclose(other.centre, speech.centre, atol=0.3)
    assert (other.likeness(noise[0], FRAMES) == 0).all()
    assert (other.likeness(talk(200, 99), FRAMES) == 1).all()
    np.testing.assert_allclose(speech.centre[:COLUMNS], 30, atol=0.5)
    assert len(speech.least) == COLUMNS
    assert all(0 < least < STILLEST * 2 for least in speech.least)


def test_where_all_of_it_has_something_odd_there_is_still_a_middle():
    rng = np.random.default_rng(0)
    far = np.tile([500, 0, 0, 0, -500, 0, 0, 0], 5)  # other columns in every recording
    odd = [rng.normal(np.roll(far, n), 1, (70, 40)) for n in range(40)]
    made = Speech.fit(odd, [FRAMES] * 40)
    assert all(np.isfinite(x).all() for x in made.arrays().values())


def test_a_file_keeps_it(speech, tmp_path):
    save_file(speech.arrays(), tmp_path / "speech.safetensors")
    read = Speech.from_arrays(load_file(tmp_path / "speech.safetensors"), COLUMNS)
    rows = talk(120, 5, still=0.6)
    np.testing.assert_allclose(read.likeness(rows, FRAMES), speech.likeness(rows, FRAMES), atol=1e-3)
    for arrays, columns in (({"centre": speech.centre}, COLUMNS), (speech.arrays(), COLUMNS + 1)):
        with pytest.raises(ValueError, match="no speech"):
            Speech.from_arrays(arrays, columns)


def test_missing_rows_and_columns_of_one_value_are_no_trouble(speech):
    rows = [np.column_stack([talk(80, seed), np.full(80, 7.0)]).astype(np.float32) for seed in range(20)]
    made = Speech.fit([*rows, np.full((5, COLUMNS + 1), np.nan, np.float32)], [FRAMES] * 21)
    assert all(np.isfinite(x).all() for x in made.arrays().values())
    assert (made.likeness(rows[0], FRAMES) == 1).all()
    assert speech.likeness(np.full((3, COLUMNS), np.nan, np.float32), FRAMES).tolist() == [1, 1, 1]
    assert len(speech.likeness(np.zeros((0, COLUMNS), np.float32), FRAMES)) == 0


def test_four_seconds_of_a_clock():
    assert frames_around(np.arange(90) / 25) == 100
    assert frames_around(np.arange(90) / 59.94) == 240
    assert frames_around(np.arange(90) / 23.976) == 96
    assert frames_around(np.arange(90) / 15) == 0
    assert frames_around(np.zeros(1)) == 0
