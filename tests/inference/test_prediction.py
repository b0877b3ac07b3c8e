"""The difficulty or the expected error of faces widens the uncertainty of their predictions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from synth.runs import LENGTH, sequence, write_run

from vacli.circumplex import EMOTIONS
from vacli.features.compact.layout import DIM
from vacli.inference.calibration import Calibration
from vacli.inference.error_model import ErrorModel
from vacli.inference.face_error import FaceErrorModel, RecentFaceErrors
from vacli.inference.postprocessing import PostProcessor
from vacli.inference.prediction import predict_images, predict_sequence
from vacli.inference.run import Run, load_run
from vacli.inference.states import FrameState
from vacli.inference.streaming import StreamingPredictor
from vacli.spec import VISUAL

MODEL = ErrorModel((0.3, 0.1), (0.0, 0.0), difficulty_gain=(0.4, 0.2))


def calibrated_run(path: Path) -> Run:
    states = (FrameState.VISUAL, FrameState.AUDIOVISUAL, FrameState.IMAGE)
    calibration = Calibration(dict.fromkeys(map(str, states), MODEL))
    return replace(load_run(write_run(path)), postprocess=PostProcessor(calibration))


def pictures(first_column: float = 0.0) -> np.ndarray:
    """Rows (2, 128) of the face network; the second one has another first column."""
    rows = np.zeros((2, DIM), np.float32)
    rows[:, 2 : 2 + len(EMOTIONS)] = 1 / len(EMOTIONS)
    rows[1, 0] = first_column
    return rows


def test_pictures_of_difficult_faces_are_less_certain(tmp_path):
    run, difficulty = calibrated_run(tmp_path / "run"), np.array([0.0, 1.0])
    made = predict_images(run, pictures(), "a", np.arange(2.0), difficulty)
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


class FirstColumns(FaceErrorModel):
    """The expected errors are the absolute values of the first two columns."""

    def __init__(self) -> None:
        pass

    def expected(self, rows: np.ndarray) -> np.ndarray:
        return np.abs(rows[:, :2]).astype(np.float64)


def test_the_expected_error_of_a_run_replaces_the_difficulty(tmp_path):
    run, rows = replace(calibrated_run(tmp_path / "run"), face_error=FirstColumns()), sequence(3 * LENGTH)
    faces = np.empty((len(rows), rows.dims[VISUAL]), np.float32)
    rows.fill(0, {VISUAL: faces})
    whole = predict_sequence(run, rows, rows.times_s, difficulty=np.ones(len(rows)))
    expected = np.array([_recent_mean(np.abs(faces[:, :2]), rows.times_s, k) for k in range(len(rows))])
    np.testing.assert_allclose(whole.uncertainty, np.hypot((0.3, 0.1), (0.4, 0.2) * expected), rtol=1e-5)
    predictor = StreamingPredictor(run, rows, rows.times_s, difficulty=np.ones(len(rows)))
    parts = [predictor.advance(known) for known in (1, LENGTH + 3, len(rows))]
    np.testing.assert_array_equal(np.concatenate([p.uncertainty for p in parts]), whole.uncertainty)
    one_by_one = RecentFaceErrors(run.face_error)
    live = [one_by_one.add(faces[k : k + 1], t) for k, t in enumerate(rows.times_s)]
    np.testing.assert_allclose(np.nan_to_num(np.concatenate(live)), expected, rtol=1e-9)


def _recent_mean(errors: np.ndarray, times_s: np.ndarray, frame: int) -> np.ndarray:
    """The geometric mean of the errors (T, 2) of faces in the last second, 0 for a frame without a face."""
    if np.isnan(errors[frame]).any():
        return np.zeros(2)
    recent = [e for e, t in zip(errors, times_s, strict=True) if times_s[frame] - 1 < t <= times_s[frame]]
    logs = [np.log(e.astype(np.float64)) for e in recent if np.isfinite(e).all()]
    return np.exp(np.mean(logs, axis=0))


def test_the_expected_error_of_a_picture_is_its_own(tmp_path):
    run = replace(calibrated_run(tmp_path / "run"), face_error=FirstColumns())
    single = predict_images(run, pictures(0.5), "a", np.arange(2.0), np.ones(2))
    np.testing.assert_allclose(single.uncertainty[:, 0], np.hypot(0.3, [0, 0.4 * 0.5]), rtol=1e-5)
