"""The difficulty of faces widens the uncertainty of their predictions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from synth.runs import LENGTH, sequence, write_run

from vacli.circumplex import EMOTIONS
from vacli.features.compact.layout import DIM
from vacli.inference.calibration import Calibration
from vacli.inference.error_model import ErrorModel
from vacli.inference.postprocessing import PostProcessor
from vacli.inference.prediction import predict_images, predict_sequence
from vacli.inference.run import Run, load_run
from vacli.inference.states import FrameState
from vacli.inference.streaming import StreamingPredictor

MODEL = ErrorModel((0.3, 0.1), (0.0, 0.0), difficulty_gain=(0.4, 0.2))


def calibrated_run(path: Path) -> Run:
    states = (FrameState.VISUAL, FrameState.AUDIOVISUAL, FrameState.IMAGE)
    calibration = Calibration(dict.fromkeys(map(str, states), MODEL))
    return replace(load_run(write_run(path)), postprocess=PostProcessor(calibration))


def test_pictures_of_difficult_faces_are_less_certain(tmp_path):
    rows = np.zeros((2, DIM), np.float32)
    rows[:, 2 : 2 + len(EMOTIONS)] = 1 / len(EMOTIONS)
    made = predict_images(calibrated_run(tmp_path / "run"), rows, "a", np.arange(2.0), np.array([0.0, 1.0]))
    np.testing.assert_allclose(made.uncertainty, [[0.3, 0.1], [0.5, np.hypot(0.1, 0.2)]], rtol=1e-6)


def test_frames_of_difficult_faces_are_less_certain_at_once_and_in_parts(tmp_path):
    run, rows = calibrated_run(tmp_path / "run"), sequence(3 * LENGTH)
    difficulty = np.linspace(0, 1, len(rows))
    whole = predict_sequence(run, rows, rows.times_s, difficulty=difficulty)
    np.testing.assert_allclose(whole.uncertainty[:, 0], np.hypot(0.3, 0.4 * difficulty), rtol=1e-6)
    np.testing.assert_array_equal(whole.values, predict_sequence(run, rows, rows.times_s).values)
    predictor = StreamingPredictor(run, rows, rows.times_s, difficulty=difficulty)
    parts = [predictor.advance(known) for known in (1, LENGTH + 3, len(rows))]
    np.testing.assert_array_equal(np.concatenate([p.uncertainty for p in parts]), whole.uncertainty)
