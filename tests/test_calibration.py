from __future__ import annotations

import json

import numpy as np
import pytest

from vacli.calibration import NOTHING, Calibration, states_of


def drawn(floor: float, gain: float, count: int = 20_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    spread = rng.uniform(0.01, 0.3, (count, 2))
    return rng.normal(size=(count, 2)) * np.sqrt(floor**2 + (gain * spread) ** 2), spread


def test_states_name_what_a_frame_has():
    present = {"visual": np.array([1, 1, 0, 0], bool), "audio": np.array([1, 0, 1, 0], bool)}
    assert states_of(present).tolist() == ["audio+visual", "visual", "audio", NOTHING]
    assert states_of({"audio": np.array([True])}).tolist() == ["audio"]


def test_what_the_errors_were_drawn_from_is_found_again():
    error, spread = drawn(0.2, 1.5)
    made = Calibration.fit(error, spread, np.full(len(error), "audio")).states["audio"]
    np.testing.assert_allclose(made.floor, 0.2, atol=0.01)
    np.testing.assert_allclose(made.gain, 1.5, atol=0.1)


def test_its_sd_covers_two_thirds_in_every_state():
    parts = {"audio": drawn(0.4, 0.5, seed=1), "audio+visual": drawn(0.1, 2.0, seed=2)}
    error, spread = (np.concatenate(x) for x in zip(*parts.values(), strict=True))
    states = np.repeat(list(parts), 20_000)
    calibration = Calibration.fit(error, spread, states)
    sd = calibration.sd(spread, states)
    for state in parts:
        here = states == state
        assert np.mean(np.abs(error[here]) <= sd[here]) == pytest.approx(0.683, abs=0.02)
    assert sd[states == "audio"].mean() > sd[states == "audio+visual"].mean()


def test_a_state_that_was_not_measured_is_trusted_least():
    error, spread = drawn(0.3, 0.0)
    error[:100] = np.nan
    states = np.where(np.arange(len(error)) < 150, "visual", "audio")  # 50 labelled frames of the first
    calibration = Calibration.fit(error, spread, states)
    assert list(calibration.states) == ["audio"]
    assert (calibration.sd(spread[:5], states[:5]) >= 0.29).all()


def test_json_keeps_it():
    error, spread = drawn(0.2, 1.0, 500)
    made = Calibration.fit(error, spread, np.full(500, "audio"))
    assert Calibration.from_dict(json.loads(json.dumps(made.to_dict()))) == made
