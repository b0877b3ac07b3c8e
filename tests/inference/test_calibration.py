from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vacli.inference.calibration import Calibration, ErrorModel, MomentMatching
from vacli.inference.states import FrameState

AUDIO_ONLY = str(FrameState.AUDIO_ONLY)
VERSION_1 = Path(__file__).with_name("calibration-v1.json")  # of a bundled run of va 0.1


def errors(floor: float, gain: float, count: int = 20_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    std = rng.uniform(0.01, 0.3, (count, 2))
    return rng.normal(size=(count, 2)) * np.sqrt(floor**2 + (gain * std) ** 2), std


def fitted(error: np.ndarray, std: np.ndarray, states: np.ndarray) -> Calibration:
    return Calibration.fit(error, np.zeros_like(error), std, states)


def test_fit_recovers_the_parameters_that_errors_were_sampled_from():
    error, std = errors(0.2, 1.5)
    model = fitted(error, std, np.full(len(error), "audio")).states["audio"]
    np.testing.assert_allclose(model.floor, 0.2, atol=0.01)
    np.testing.assert_allclose(model.gain, 1.5, atol=0.1)


def test_one_sd_covers_two_thirds_of_the_errors_in_every_state():
    parts = {"audio": errors(0.4, 0.5, seed=1), "audiovisual": errors(0.1, 2.0, seed=2)}
    error, std = (np.concatenate(x) for x in zip(*parts.values(), strict=True))
    states = np.repeat(list(parts), 20_000)
    uncertainty = fitted(error, std, states).uncertainty(std, states)
    for state in parts:
        here = states == state
        assert np.mean(np.abs(error[here]) <= uncertainty[here]) == pytest.approx(0.683, abs=0.02)
    assert uncertainty[states == "audio"].mean() > uncertainty[states == "audiovisual"].mean()


def test_a_state_without_a_model_gets_the_largest_uncertainty():
    error, std = errors(0.3, 0.0)
    error[:100] = np.nan
    states = np.where(np.arange(len(error)) < 150, "visual", "audio")  # 50 labelled frames of the first
    calibration = fitted(error, std, states)
    assert list(calibration.states) == ["audio"]
    assert (calibration.uncertainty(std[:5], states[:5]) >= 0.29).all()


def test_audio_only_falls_back_to_the_model_of_audio():
    calibration = Calibration(
        {"audio": ErrorModel((0.3, 0.3), (0.0, 0.0)), "visual": ErrorModel((0.5, 0.5), (0.0, 0.0))}
    )
    states = np.array([AUDIO_ONLY, "audio", "none"])
    uncertainty = calibration.uncertainty(np.zeros((3, 2)), states)
    np.testing.assert_allclose(uncertainty[:, 0], [0.3, 0.3, 0.5], atol=1e-6)


@pytest.mark.parametrize("state", [FrameState.NONE, FrameState.NON_SPEECH])
def test_frames_without_a_face_or_speech_are_not_measured(state):
    """Synthetic sequences label them 0, which the models learned: the agreement says nothing about errors."""
    error, std = errors(0.3, 0.5)
    error[:1000] = 0
    states = np.where(np.arange(len(error)) < 1000, str(state), "audio")
    calibration = fitted(error, std, states)
    assert list(calibration.states) == ["audio"]
    assert (calibration.uncertainty(std[:5], states[:5]) >= 0.29).all()


def test_json_preserves_a_calibration():
    error, std = errors(0.2, 1.0, 500)
    calibration = fitted(error, std, np.full(500, "audio"))
    assert Calibration.from_dict(json.loads(json.dumps(calibration.to_dict()))) == calibration


def test_version_1_is_read_in_the_present_names():
    old = json.loads(VERSION_1.read_text())
    calibration = Calibration.from_dict(old)
    assert set(calibration.states) == {"audiovisual", "audio", "visual", "audio_only", "image"}
    rescaling = calibration.states["audio_only"].rescaling
    assert list(rescaling.factor) == old["audio alone"]["stretch"]["factor"]
    assert Calibration.from_dict(calibration.to_dict()) == calibration


def test_unmeasured_states_of_version_1_are_ignored():
    model = {"floor": [0.2, 0.2], "gain": [1, 1], "stretch": None}
    assert list(Calibration.from_dict({"none": model, "audio": model}).states) == ["audio"]


def test_a_rescaling_without_a_target_keeps_its_centre():
    rescaling = {"centre": [0.1, 0.2], "factor": [1.5, 2.0]}
    old = {"audio alone": {"floor": [0.2, 0.2], "gain": [1, 1], "stretch": rescaling}}
    assert Calibration.from_dict(old).states[AUDIO_ONLY].rescaling.target == (0.1, 0.2)


def test_a_later_version_is_refused():
    with pytest.raises(ValueError, match="version 3"):
        Calibration.from_dict({"version": 3, "states": {}})


def shrunk(count: int = 4_000) -> tuple[np.ndarray, np.ndarray]:
    """Predictions that correlate weakly with the labels and vary much less, and the labels."""
    rng = np.random.default_rng(4)
    labels = rng.normal(0, 0.3, (count, 2))
    return 0.1 + labels / 9 + rng.normal(0, 0.09, (count, 2)), labels


def test_audio_only_predictions_get_the_moments_of_the_labels():
    values, labels = shrunk()
    states = np.full(len(values), AUDIO_ONLY)
    calibration = Calibration.fit(values, labels, np.full_like(values, 0.1), states)
    rescaled = calibration.rescale(values, states)
    np.testing.assert_allclose(rescaled.std(axis=0), labels.std(axis=0), rtol=0.02)
    np.testing.assert_allclose(rescaled.mean(axis=0), labels.mean(axis=0), atol=0.01)
    assert np.abs(rescaled).max() <= 1
    rmse = np.sqrt(np.square(rescaled - labels).mean(axis=0))
    np.testing.assert_allclose(calibration.uncertainty(np.full((1, 2), 0.1), states[:1])[0], rmse, rtol=0.02)
    np.testing.assert_array_equal(calibration.rescale(values, np.full(len(values), "audio")), values)
    assert Calibration.from_dict(json.loads(json.dumps(calibration.to_dict()))) == calibration


def test_predictions_that_vary_more_than_the_labels_are_only_shifted():
    values, labels = shrunk()
    rescaling = MomentMatching.fit(labels, values)
    assert rescaling.factor == (1, 1)
    np.testing.assert_allclose(rescaling(values), values - labels.mean(axis=0) + values.mean(axis=0))


def test_constant_or_anticorrelated_predictions_are_not_scaled():
    _, labels = shrunk()
    values = np.column_stack([np.full(len(labels), 0.2), -labels[:, 1] / 5]).astype(np.float32)
    values[::2, 0] += 1e-6
    assert MomentMatching.fit(values, labels).factor == (1, 1)
