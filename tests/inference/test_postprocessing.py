from __future__ import annotations

import numpy as np
import pytest

from vacli.inference.calibration import Calibration
from vacli.inference.ensemble import EnsembleOutput, concatenate
from vacli.inference.error_model import ErrorModel
from vacli.inference.postprocessing import PostProcessor
from vacli.inference.states import FrameState

AUDIO_ONLY, NON_SPEECH = str(FrameState.AUDIO_ONLY), str(FrameState.NON_SPEECH)
CALIBRATION = Calibration(
    {
        AUDIO_ONLY: ErrorModel((0.6, 0.3), (0.0, 0.0), prior_std=(0.6, 0.3)),
        "audiovisual": ErrorModel((0.1, 0.1), (0.0, 0.0)),
        "visual": ErrorModel((0.2, 0.3), (0.0, 0.0)),
    }
)


def output(states: list[str], weights: list[float]) -> EnsembleOutput:
    return EnsembleOutput(
        values=np.full((len(states), 2), (0.8, -0.4), np.float32),
        ensemble_std=np.full((len(states), 2), 0.1, np.float32),
        states=np.array(states),
        voice_weight=np.array(weights),
        difficulty=np.zeros((len(states), 2)),
    )


def test_audio_only_frames_become_neutral_as_the_voice_loses_weight():
    done = PostProcessor(CALIBRATION)(output([AUDIO_ONLY] * 3, [1, 0.5, 0]))
    np.testing.assert_allclose(done.values, [[0.4, -0.2], [0.2, -0.1], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(
        done.uncertainty[[0, 2]], [[0.6 / 2**0.5, 0.3 / 2**0.5], [0.6, 0.3]], atol=1e-6
    )
    assert done.states.tolist() == [AUDIO_ONLY, AUDIO_ONLY, NON_SPEECH]
    assert done.values.dtype == np.float32
    assert not np.signbit(done.values[2]).any()


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.8, 1.0])
def test_the_result_has_the_moments_of_the_mixture(weight):
    done = PostProcessor(CALIBRATION)(output([AUDIO_ONLY], [weight]))
    rng = np.random.default_rng(0)
    voiced = rng.random(400_000) < weight
    means, stds = np.where(voiced, 0.4, 0.0), np.where(voiced, 0.6 / 2**0.5, 0.6)
    sampled = rng.normal(means, stds)
    assert done.values[0, 0] == pytest.approx(sampled.mean(), abs=0.005)
    assert done.uncertainty[0, 0] == pytest.approx(sampled.std(), abs=0.005)


def test_a_face_with_another_persons_voice_has_the_error_of_a_face():
    done = PostProcessor(CALIBRATION)(output(["audiovisual"] * 2, [1, 0]))
    np.testing.assert_allclose(done.uncertainty, [[0.1, 0.1], [0.2, 0.3]], rtol=1e-6)
    assert done.states.tolist() == ["audiovisual", "visual"]


def test_an_uncalibrated_run_changes_only_frames_without_a_face():
    given = output(["audiovisual", "audiovisual", AUDIO_ONLY], [1, 0, 0.25])
    done = PostProcessor()(given)
    np.testing.assert_allclose(done.values, [[0.8, -0.4], [0.8, -0.4], [0.2, -0.1]], rtol=1e-6)
    np.testing.assert_array_equal(done.uncertainty, given.ensemble_std)
    assert done.states.tolist() == ["audiovisual", "visual", NON_SPEECH]


def test_a_single_model_has_an_uncertainty_only_when_calibrated():
    single = EnsembleOutput(
        values=np.zeros((1, 2), np.float32),
        ensemble_std=None,
        states=np.array(["audio"]),
        voice_weight=np.ones(1),
        difficulty=np.zeros((1, 2)),
    )
    assert PostProcessor()(single).uncertainty is None
    calibration = Calibration({"audio": ErrorModel((0.3, 0.2), (1.0, 1.0))})
    np.testing.assert_allclose(PostProcessor(calibration)(single).uncertainty, [[0.3, 0.2]], atol=1e-6)
    assert concatenate([single, output(["none"], [1])]).ensemble_std[:, 0].tolist() == [0, np.float32(0.1)]
