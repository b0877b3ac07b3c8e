"""Prediction files by video and time."""

from __future__ import annotations

import numpy as np
import pytest

from vacli.errors import LabelError
from vacli.evaluation.predictions import PredictedTrajectory, read_predictions


def write(tmp_path, *lines):
    path = tmp_path / "clip.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_single_video_is_named_after_the_file(tmp_path):
    (made,) = read_predictions(write(tmp_path, "frame,time_s,valence,arousal", "0,0,0.5,-0.5", "1,0.04,,"))
    assert made.video == "clip"
    np.testing.assert_array_equal(made.values, np.float32([[0.5, -0.5], [np.nan, np.nan]]))


def test_videos_are_named_after_the_input_column(tmp_path):
    rows = [
        "time_s,valence,arousal,input",
        "0,0.1,0,x/a.mp4",
        "0.04,0.2,0,x/a.mp4",
        "0,0.3,0,b.b.mp4",
        "0,0,0,b.b",
    ]
    made = read_predictions(write(tmp_path, *rows))
    assert [(p.video, len(p.times_s)) for p in made] == [("a", 2), ("b.b", 1), ("b.b", 1)]


def test_decimal_commas(tmp_path):
    (made,) = read_predictions(write(tmp_path, "time_s;valence;arousal", "0,00;0,5;-0,5", "0,04;0,25;"))
    np.testing.assert_array_equal(made.times_s, [0, 0.04])
    np.testing.assert_array_equal(made.values, np.float32([[0.5, -0.5], [0.25, np.nan]]))


@pytest.mark.parametrize("column", ["face_id", "person"])
def test_faces_of_one_video_have_separate_trajectories(tmp_path, column):
    rows = [f"time_s,valence,arousal,{column},input"]
    rows += [f"{t},{v},0,{p},a.mp4" for v, p in ((0.1, 3), (0.2, 0)) for t in (0, 0.04)]
    made = read_predictions(write(tmp_path, *rows))
    assert [(p.video, float(p.values[0, 0])) for p in made] == [
        ("a", pytest.approx(0.1)),
        ("a_face2", pytest.approx(0.2)),
    ]
    assert [p.description for p in made] == ["a.mp4 (face_id 3)", "a.mp4 (face_id 0)"], "as in the table"
    (alone,) = read_predictions(write(tmp_path, *rows[:3]))
    assert alone.description == "a.mp4"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["frame,valence,arousal", "0,0,0"], r"clip\.csv:1: no column time_s"),
        (["time_s,valence,arousal"], "no rows"),
        (["time_s,valence,arousal", "0,1.5,0"], r":2: 1\.5 is outside"),
        (["time_s,valence,arousal", "0,0,0", "0,0,0"], r":3: time 0 of clip is not later than"),
    ],
)
def test_errors(tmp_path, lines, message):
    with pytest.raises(LabelError, match=message):
        read_predictions(write(tmp_path, *lines))


def test_nearest_row_within_half_a_step():
    values = np.float32([[0.1, 0], [0.2, 0], [0.3, 0]])
    predicted = PredictedTrajectory(video="v", times_s=np.array([0.0, 0.1, 0.2]), values=values)
    at = predicted.at(np.array([0.0, 0.04, 0.06, 0.25, 0.26]))
    assert at.uncertainty is None
    np.testing.assert_array_equal(at.values[:, 0], np.float32([0.1, 0.1, 0.2, 0.3, np.nan]))


def test_trajectory_without_rows_has_nan_values():
    nothing = PredictedTrajectory(video="v", times_s=np.empty(0), values=np.empty((0, 2), np.float32))
    assert np.isnan(nothing.at(np.arange(3.0)).values).all()


def test_uncertainty_is_read_and_resampled_like_the_values(tmp_path):
    header = "time_s,valence,arousal,valence_uncertainty,arousal_uncertainty"
    (read,) = read_predictions(write(tmp_path, header, "0,0.1,0.2,0.3,0.4", "1,0.2,0.3,,0.5"))
    np.testing.assert_array_equal(read.uncertainty, np.float32([[0.3, 0.4], [np.nan, 0.5]]))
    at = read.at(np.array([0.4, 0.6, 2.0]))
    np.testing.assert_array_equal(at.uncertainty[:, 1], np.float32([0.4, 0.5, np.nan]))
