from __future__ import annotations

import numpy as np

from vacli.inference.calibration import Calibration, ErrorModel, MomentMatching
from vacli.inference.postprocessing import EnsembleOutput, PostProcessor, concatenate, shrink_to_zero
from vacli.inference.states import FrameState

AUDIO_ONLY, NON_SPEECH = str(FrameState.AUDIO_ONLY), str(FrameState.NON_SPEECH)


def output(states: list[str], scores: list[float]) -> EnsembleOutput:
    return EnsembleOutput(
        values=np.full((len(states), 2), (0.8, -0.4), np.float32),
        ensemble_std=np.full((len(states), 2), 0.1, np.float32),
        states=np.array(states),
        speech_score=np.array(scores),
    )


def test_audio_only_frames_shrink_to_zero_by_their_speech_score():
    states = [AUDIO_ONLY, AUDIO_ONLY, AUDIO_ONLY, "audio", "none"]
    values, gated = shrink_to_zero(output(states, [1, 0.75, 0, 0, 0]))
    np.testing.assert_allclose(values[:, 0], [0.8, 0.6, 0, 0.8, 0.8], atol=1e-6)
    np.testing.assert_allclose(values[:, 1], [-0.4, -0.3, 0, -0.4, -0.4], atol=1e-6)
    assert values.dtype == np.float32
    assert not np.signbit(values[2]).any()
    assert gated.tolist() == [AUDIO_ONLY, AUDIO_ONLY, NON_SPEECH, "audio", "none"]


def test_rescaling_comes_before_the_speech_gate():
    rescaling = MomentMatching(centre=(0.8, -0.4), factor=(1.0, 1.0), target=(0.4, 0.2))
    calibration = Calibration({AUDIO_ONLY: ErrorModel((0.3, 0.2), (1.0, 0.0), rescaling)})
    done = PostProcessor(calibration)(output([AUDIO_ONLY, AUDIO_ONLY], [0.5, 0.0]))
    np.testing.assert_allclose(done.values, [[0.2, 0.1], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(done.uncertainty, [[np.hypot(0.3, 0.1), 0.2]] * 2, atol=1e-6)
    assert done.states.tolist() == [AUDIO_ONLY, NON_SPEECH]


def test_without_a_calibration_the_uncertainty_is_the_ensemble_std():
    given = output(["audiovisual"], [1])
    done = PostProcessor()(given)
    np.testing.assert_array_equal(done.values, given.values)
    np.testing.assert_array_equal(done.uncertainty, given.ensemble_std)


def test_a_single_model_has_an_uncertainty_only_when_calibrated():
    single = EnsembleOutput(
        values=np.zeros((1, 2), np.float32),
        ensemble_std=None,
        states=np.array(["audio"]),
        speech_score=np.ones(1),
    )
    assert PostProcessor()(single).uncertainty is None
    calibration = Calibration({"audio": ErrorModel((0.3, 0.2), (1.0, 1.0))})
    np.testing.assert_allclose(PostProcessor(calibration)(single).uncertainty, [[0.3, 0.2]], atol=1e-6)
    assert concatenate([single, output(["none"], [1])]).ensemble_std[:, 0].tolist() == [0, np.float32(0.1)]
