from __future__ import annotations

import json

import numpy as np
import pytest

from vacli.inference.calibration import ALONE, NOTHING, OTHER_SOUND, Calibration, Stretch, drawn, states_of


def errors(floor: float, gain: float, count: int = 20_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    spread = rng.uniform(0.01, 0.3, (count, 2))
    return rng.normal(size=(count, 2)) * np.sqrt(floor**2 + (gain * spread) ** 2), spread


def test_states_name_what_a_frame_has():
    present = {"visual": np.array([1, 1, 0, 0], bool), "audio": np.array([1, 0, 1, 0], bool)}
    assert states_of(present).tolist() == ["audio+visual", "visual", "audio", NOTHING]
    assert states_of({"audio": np.array([True])}).tolist() == ["audio"]


def test_what_the_errors_were_drawn_from_is_found_again():
    error, spread = errors(0.2, 1.5)
    made = Calibration.fit(error, np.zeros_like(error), spread, np.full(len(error), "audio")).states["audio"]
    np.testing.assert_allclose(made.floor, 0.2, atol=0.01)
    np.testing.assert_allclose(made.gain, 1.5, atol=0.1)


def test_its_sd_covers_two_thirds_in_every_state():
    parts = {"audio": errors(0.4, 0.5, seed=1), "audio+visual": errors(0.1, 2.0, seed=2)}
    error, spread = (np.concatenate(x) for x in zip(*parts.values(), strict=True))
    states = np.repeat(list(parts), 20_000)
    calibration = Calibration.fit(error, np.zeros_like(error), spread, states)
    sd = calibration.sd(spread, states)
    for state in parts:
        here = states == state
        assert np.mean(np.abs(error[here]) <= sd[here]) == pytest.approx(0.683, abs=0.02)
    assert sd[states == "audio"].mean() > sd[states == "audio+visual"].mean()


def test_a_state_that_was_not_measured_is_trusted_least():
    error, spread = errors(0.3, 0.0)
    error[:100] = np.nan
    states = np.where(np.arange(len(error)) < 150, "visual", "audio")  # 50 labelled frames of the first
    calibration = Calibration.fit(error, np.zeros_like(error), spread, states)
    assert list(calibration.states) == ["audio"]
    assert (calibration.sd(spread[:5], states[:5]) >= 0.29).all()


@pytest.mark.parametrize("state", [NOTHING, OTHER_SOUND])
def test_what_nothing_is_known_of_is_never_measured(state):
    """Composed sequences call it the middle, and a model that learned that is right, and knows nothing."""
    error, spread = errors(0.3, 0.5)
    error[:1000] = 0
    states = np.where(np.arange(len(error)) < 1000, state, "audio")
    calibration = Calibration.fit(error, np.zeros_like(error), spread, states)
    assert list(calibration.states) == ["audio"]
    assert (calibration.sd(spread[:5], states[:5]) >= 0.29).all()


def test_what_nothing_is_known_of_was_measured_once():
    error, spread = errors(0.2, 1.0, 500)
    made = Calibration.fit(error, np.zeros_like(error), spread, np.full(500, "audio"))
    old = made.to_dict() | {NOTHING: {"floor": [0.04, 0.04], "gain": [0, 0], "stretch": None}}
    assert Calibration.from_dict(old) == made


def test_json_keeps_it():
    error, spread = errors(0.2, 1.0, 500)
    made = Calibration.fit(error, np.zeros_like(error), spread, np.full(500, "audio"))
    assert Calibration.from_dict(json.loads(json.dumps(made.to_dict()))) == made


def too_even(count: int = 4_000) -> tuple[np.ndarray, np.ndarray]:
    """What a voice is said to be, and is: values that go with the labels a little and vary much less."""
    rng = np.random.default_rng(4)
    truth = rng.normal(0, 0.3, (count, 2))
    return 0.1 + truth / 9 + rng.normal(0, 0.09, (count, 2)), truth


def test_where_no_face_is_ever_shown_values_vary_as_labels_do():
    values, truth = too_even()
    states = np.full(len(values), ALONE)
    made = Calibration.fit(values, truth, np.full_like(values, 0.1), states)
    stretched = made.stretched(values, states)
    np.testing.assert_allclose(stretched.std(axis=0), truth.std(axis=0), rtol=0.02)
    np.testing.assert_allclose(stretched.mean(axis=0), truth.mean(axis=0), atol=0.01)
    assert np.abs(stretched).max() <= 1
    rmse = np.sqrt(np.square(stretched - truth).mean(axis=0))
    np.testing.assert_allclose(made.sd(np.full((1, 2), 0.1), states[:1])[0], rmse, rtol=0.02)
    np.testing.assert_array_equal(made.stretched(values, np.full(len(values), "audio")), values)
    assert Calibration.from_dict(json.loads(json.dumps(made.to_dict()))) == made


def test_sound_unlike_speech_is_drawn_to_the_middle():
    values = np.full((5, 2), (0.8, -0.4), np.float32)
    states = np.array([ALONE, ALONE, ALONE, "audio", NOTHING])
    made, told = drawn(values, states, np.array([1, 0.75, 0, 0, 0]))
    np.testing.assert_allclose(made[:, 0], [0.8, 0.6, 0, 0.8, 0.8], atol=1e-6)
    np.testing.assert_allclose(made[:, 1], [-0.4, -0.3, 0, -0.4, -0.4], atol=1e-6)
    assert made.dtype == np.float32
    assert told.tolist() == [ALONE, ALONE, OTHER_SOUND, "audio", NOTHING]


def test_only_what_was_measured_alone_is_told_apart():
    values, truth = too_even()
    heard = np.array(["audio", NOTHING])
    spread = np.full_like(values, 0.1)
    alone = Calibration.fit(values, truth, spread, np.full(len(values), ALONE))
    among = Calibration.fit(values, truth, spread, np.full(len(values), "audio"))
    assert alone.alone(heard).tolist() == [ALONE, NOTHING]
    assert among.alone(heard).tolist() == ["audio", NOTHING]
    np.testing.assert_array_equal(among.stretched(values, np.full(len(values), "audio")), values)


def test_values_that_vary_more_than_labels_are_not_drawn_together():
    values, truth = too_even()
    stretch = Stretch.fit(truth, values)
    assert stretch.factor == (1, 1)
    np.testing.assert_allclose(stretch.of(values), values - truth.mean(axis=0) + values.mean(axis=0))


def test_a_stretch_from_before_there_was_a_target_keeps_its_centre():
    values, truth = too_even()
    made = Calibration.fit(values, truth, np.full_like(values, 0.1), np.full(len(values), ALONE)).to_dict()
    del made[ALONE]["stretch"]["target"]
    stretch = Calibration.from_dict(made).states[ALONE].stretch
    assert stretch.target == stretch.centre


def test_what_tells_nothing_is_not_stretched():
    """One value for all frames, and values that go against the labels."""
    _, truth = too_even()
    even = np.column_stack([np.full(len(truth), 0.2), -truth[:, 1] / 5]).astype(np.float32)
    even[::2, 0] += 1e-6
    assert Stretch.fit(even, truth).factor == (1, 1)
