from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vacli.inference.calibration import Calibration
from vacli.inference.ensemble import EnsembleOutput
from vacli.inference.error_model import ErrorModel
from vacli.inference.states import FrameState

AUDIO_ONLY = str(FrameState.AUDIO_ONLY)
VERSION_1 = Path(__file__).with_name("calibration-v1.json")  # of a bundled run of va 0.1
WIDE = (10.0, 10.0)


def outputs(values: np.ndarray, std: np.ndarray, states: np.ndarray) -> EnsembleOutput:
    ones = np.ones(len(values))
    return EnsembleOutput(
        values=values, ensemble_std=std, states=states, voice_weight=ones, difficulty=0 * values
    )


def measured(floor: float, gain: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, ensemble standard deviations and labels (T, 2) whose errors have this floor and gain."""
    rng = np.random.default_rng(seed)
    std = rng.uniform(0.01, 0.3, (8_000, 2))
    labels = rng.normal(0, 0.4, std.shape)
    return labels + rng.normal(size=std.shape) * np.sqrt(floor**2 + (gain * std) ** 2), std, labels


def fitted(error: np.ndarray, std: np.ndarray, states: np.ndarray) -> Calibration:
    return Calibration.fit(outputs(error, std, states), np.zeros_like(error))


def test_one_sd_covers_two_thirds_of_the_errors_in_every_state():
    parts = {"audio": measured(0.4, 0.5, seed=1), "audiovisual": measured(0.1, 2.0, seed=2)}
    values, std, labels = (np.concatenate(x) for x in zip(*parts.values(), strict=True))
    output = outputs(values, std, np.repeat(list(parts), 8_000))
    estimate = Calibration.fit(output, labels).estimate(output)
    for state in parts:
        here = output.states == state
        error = np.abs(estimate.values - labels)[here]
        assert np.mean(error <= estimate.std[here]) == pytest.approx(0.683, abs=0.02)
        assert np.mean(error <= 2 * estimate.std[here]) == pytest.approx(0.954, abs=0.01)
    assert estimate.std[output.states == "audio"].mean() > estimate.std[here].mean()


def test_a_state_without_a_model_gets_the_largest_uncertainty_and_keeps_its_values():
    calibration = Calibration(
        {
            "audio": ErrorModel((0.5, 0.1), (0.0, 0.0), prior_std=(0.2, 0.2)),
            "visual": ErrorModel((0.1, 0.3), (0.0, 0.0)),
        }
    )
    values = np.array([[0.4, -0.6]], np.float32)
    estimate = calibration.estimate(outputs(values, np.zeros((1, 2)), np.array(["none"])))
    np.testing.assert_array_equal(estimate.values, values)
    np.testing.assert_allclose(estimate.std, [[0.5, 0.3]], rtol=1e-6)


def test_a_state_with_few_labelled_frames_is_not_calibrated():
    values, std, labels = measured(0.3, 0.0)
    labels[:100] = np.nan
    states = np.where(np.arange(len(values)) < 150, "visual", "audio")  # 50 labelled frames of the first
    assert list(Calibration.fit(outputs(values, std, states), labels).states) == ["audio"]


def test_audio_only_falls_back_to_the_model_of_audio():
    calibration = Calibration(
        {"audio": ErrorModel((0.3, 0.3), (0.0, 0.0)), "visual": ErrorModel((0.5, 0.5), (0.0, 0.0))}
    )
    zeros = np.zeros((3, 2), np.float32)
    estimate = calibration.estimate(outputs(zeros, zeros, np.array([AUDIO_ONLY, "audio", "none"])))
    np.testing.assert_allclose(estimate.std[:, 0], [0.3, 0.3, 0.5], atol=1e-6)


def test_non_speech_is_neutral_with_the_standard_deviation_of_the_prior():
    calibration = Calibration({AUDIO_ONLY: ErrorModel((0.3, 0.3), (0.0, 0.0), prior_std=(0.6, 0.4))})
    values = np.full((1, 2), 0.9, np.float32)
    estimate = calibration.estimate(outputs(values, np.zeros((1, 2)), np.array([FrameState.NON_SPEECH])))
    np.testing.assert_allclose(estimate.values, 0)
    np.testing.assert_allclose(estimate.std, [[0.6, 0.4]], rtol=1e-6)


@pytest.mark.parametrize("state", [FrameState.NONE, FrameState.NON_SPEECH])
def test_frames_without_a_face_or_speech_are_not_measured(state):
    """Synthetic sequences label them 0, which the models learned: their errors are not those of people."""
    values, std, labels = measured(0.3, 0.5)
    states = np.where(np.arange(len(values)) < 1000, str(state), "audio")
    assert list(Calibration.fit(outputs(values, std, states), labels).states) == ["audio"]


def test_weights_decide_between_two_corpora_of_different_errors():
    values, std, labels = measured(0.2, 0.0)
    values[4_000:] += 0.5
    output = outputs(values, 0 * std, np.full(len(values), "audio"))
    weights = np.repeat([1.0, 1e-9], 4_000)
    floor = Calibration.fit(output, labels, weights).states["audio"].floor
    np.testing.assert_allclose(floor, 0.2, atol=0.02)
    floor = Calibration.fit(output, labels).states["audio"].floor
    assert min(floor) > 0.3


def test_the_prior_of_a_voice_alone_may_grow_with_arousal():
    rng = np.random.default_rng(5)
    arousal = rng.uniform(-1, 1, 4_000)
    labels = np.column_stack([rng.normal(0, 0.3 * np.exp(0.8 * arousal)), arousal])
    values = labels + rng.normal(size=labels.shape) * (0.5, 0.05)
    fitted = {}
    for state in ("audio", "audio_only"):
        given = outputs(values, np.full_like(values, 0.1), np.full(len(values), state))
        fitted |= Calibration.fit(given, labels).states
    assert fitted["audio_only"].prior_growth == pytest.approx(0.8, abs=0.15)
    assert fitted["audio"].prior_growth == 0
    calibration = Calibration(fitted)
    assert Calibration.from_dict(json.loads(json.dumps(calibration.to_dict()))) == calibration


def test_json_preserves_a_calibration():
    values, std, labels = measured(0.2, 1.0)
    calibration = Calibration.fit(outputs(values, std, np.full(len(values), "audio")), labels)
    assert Calibration.from_dict(json.loads(json.dumps(calibration.to_dict()))) == calibration


def test_version_1_is_read_in_the_present_names_without_its_scaling():
    old = json.loads(VERSION_1.read_text())
    calibration = Calibration.from_dict(old)
    assert set(calibration.states) == {"audiovisual", "audio", "visual", "audio_only", "image"}
    assert list(calibration.states["audio_only"].floor) == old["audio alone"]["floor"]
    assert calibration.states["audio_only"].prior_std is None
    assert Calibration.from_dict(calibration.to_dict()) == calibration


def test_unmeasured_states_of_version_1_are_ignored():
    model = {"floor": [0.2, 0.2], "gain": [1, 1], "stretch": None}
    assert list(Calibration.from_dict({"none": model, "audio": model}).states) == ["audio"]


@pytest.mark.parametrize("version", [0, 5, "3"])
def test_an_unknown_version_is_refused(version):
    with pytest.raises(ValueError, match=f"version {version}"):
        Calibration.from_dict({"version": version, "states": {}})


def test_a_calibration_without_a_state_is_refused():
    with pytest.raises(ValueError, match="no state is calibrated"):
        Calibration.from_dict({"version": 4, "states": {}})
