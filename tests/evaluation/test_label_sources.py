"""Predictions meet the labels of their own video: by names, folders, splits and times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from synth import stores

from vacli.datasets.annotation_options import AnnotationOptions
from vacli.datasets.label_columns import ColumnNames
from vacli.datasets.label_tables import TableFormat
from vacli.errors import LabelError
from vacli.evaluation.evaluator import evaluate_predictions
from vacli.evaluation.label_sources import annotation_labels, store_labels
from vacli.evaluation.predictions import read_predictions

FRAMES = 50
TIMES_S = np.arange(FRAMES) / 25
TRACE = np.column_stack([np.sin(TIMES_S), np.cos(2 * TIMES_S)]).astype(np.float32)


def table(path: Path, **inputs: np.ndarray) -> Path:
    """A table of predictions with a recording for each name, whose `__` are slashes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["time_s,valence,arousal,input"]
    for name, values in inputs.items():
        rows = zip(TIMES_S, values, strict=True)
        lines += [f"{t:.6f},{v:.6f},{a:.6f},{name.replace('__', '/')}" for t, (v, a) in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def annotate(path: Path, values: np.ndarray, first: str = "frame", scale: float = 1.0) -> None:
    """A file of labels: by frame numbers, or by times in `scale` seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    at = np.arange(FRAMES) + scale if first == "frame" else TIMES_S * scale
    rows = [f"{t:g},{v:.6f},{a:.6f}" for t, (v, a) in zip(at, values, strict=True)]
    path.write_text("\n".join([f"{first},valence,arousal", *rows]) + "\n")


def labelled(folder: Path, **videos: np.ndarray):
    """A store with a labelled video of each name; `_dot_` is a dot."""
    store = stores.empty(folder)
    for name, values in videos.items():
        video = name.replace("_dot_", ".")
        stores.add_video(store, video, FRAMES)
        stores.put_labels(store, video, values, split="train" if name == "P1" else "validation")
    return store


def scores(path: Path, source):
    result, trajectories = evaluate_predictions("p", read_predictions(path), source)
    return result, {t.video: t for t in trajectories}


@pytest.mark.parametrize("first_number", [0, 1])
def test_the_first_frame_has_the_number_that_the_annotations_begin_with(tmp_path, first_number):
    annotate(tmp_path / "a" / "vid.csv", TRACE, scale=first_number)
    result, found = scores(table(tmp_path / "p.csv", **{"vid.mp4": TRACE}), annotation_labels(tmp_path / "a"))
    assert result.scores[0].frames == FRAMES
    np.testing.assert_allclose(found["vid"].labels, TRACE, atol=1e-5)


def test_ids_of_a_store_keep_their_dots(tmp_path):
    videos = {"P1": TRACE, "P1_dot_s1": -TRACE, "x_0_dot_5s_late": 0.5 * TRACE}
    store = labelled(tmp_path / "s.zarr", **videos)
    path = table(tmp_path / "p.csv", **{name.replace("_dot_", "."): v for name, v in videos.items()})
    result, found = scores(path, store_labels(store))
    assert set(found) == {"P1", "P1.s1", "x_0.5s_late"}
    assert result.ccc["mean"] == pytest.approx(1)
    assert result.notes == ()


def test_equal_names_are_told_apart_by_their_folders(tmp_path):
    path = table(tmp_path / "p.csv", **{"day1__vid.mp4": TRACE, "day2__vid.mp4": -TRACE})
    for day, values in (("day1", TRACE), ("day2", -TRACE)):
        annotate(tmp_path / "a" / day / "vid.csv", values, "time_s")
    result, found = scores(path, annotation_labels(tmp_path / "a"))
    assert set(found) == {"day1/vid.mp4", "day2/vid.mp4"}
    assert result.ccc["mean"] == pytest.approx(1)
    annotate(tmp_path / "b" / "vid.csv", TRACE, "time_s")
    with pytest.raises(LabelError, match=r"2 videos are called vid \(day1/vid.mp4, day2/vid.mp4\)"):
        scores(path, annotation_labels(tmp_path / "b"))
    with pytest.raises(LabelError, match="are both the predictions of vid"):
        scores(path, store_labels(labelled(tmp_path / "s.zarr", vid=TRACE)))


def test_only_the_videos_of_a_split_are_scored(tmp_path):
    videos = {"P1": TRACE, "P2": -TRACE}
    path = table(tmp_path / "p.csv", **{f"{name}.mp4": v for name, v in videos.items()})
    for split, name in (("Train_Set", "P1"), ("Validation_Set", "P2")):
        annotate(tmp_path / "a" / split / f"{name}.csv", videos[name], "time_s")
    for source in (
        store_labels(labelled(tmp_path / "s.zarr", **videos), "validation"),
        annotation_labels(tmp_path / "a", "validation"),
    ):
        result, found = scores(path, source)
        assert set(found) == {"P2"}
        assert result.notes == ("Predicted videos without labels, which are not scored: 1 of 2 (P1.mp4).",)
    with pytest.raises(LabelError, match="no valence and arousal of the split test"):
        annotation_labels(tmp_path / "a", "test")


def test_labelled_videos_without_a_prediction_are_noted(tmp_path):
    store = labelled(tmp_path / "s.zarr", P1=TRACE, P2=TRACE)
    result, _ = scores(table(tmp_path / "p.csv", **{"P1.mp4": TRACE}), store_labels(store))
    assert result.notes == ("Labelled videos without a prediction: 1 (P2).",)


def test_two_annotations_of_one_video_are_refused(tmp_path):
    for split in ("Train_Set", "Validation_Set"):
        annotate(tmp_path / "a" / split / "vid.csv", TRACE, "time_s")
    with pytest.raises(LabelError, match="annotate the same trial"):
        scores(table(tmp_path / "p.csv", **{"vid.mp4": TRACE}), annotation_labels(tmp_path / "a"))


def test_times_of_another_unit_are_refused(tmp_path):
    annotate(tmp_path / "ms" / "vid.csv", TRACE, "time", scale=1000)
    path = table(tmp_path / "p.csv", **{"vid.mp4": TRACE})
    with pytest.raises(LabelError, match=r"far beyond the video's 2\.0 s"):
        scores(path, annotation_labels(tmp_path / "ms"))
    annotate(tmp_path / "s" / "vid.csv", TRACE, "time_s")
    lines = [line.split(",", 1) for line in path.read_text().splitlines()[1:]]
    path.write_text("time_s,valence,arousal,input\n" + "".join(f"{float(t) * 1000},{x}\n" for t, x in lines))
    with pytest.raises(LabelError, match=r"time_s is 1960 in its last row, and 1\.96 s in"):
        scores(path, annotation_labels(tmp_path / "s"))


def test_labels_are_read_with_the_options_for_their_scale_unit_and_delay(tmp_path):
    delayed = np.column_stack([np.sin(TIMES_S - 0.4), np.cos(2 * (TIMES_S - 0.4))]).astype(np.float32)
    annotate(tmp_path / "a" / "vid.csv", 4 + 3 * delayed, "t", scale=1000)
    path = table(tmp_path / "p.csv", **{"vid.mp4": TRACE})
    with pytest.raises(LabelError, match="outside") as caught:
        annotation_labels(tmp_path / "a")
    assert "--range" in caught.value.one_line()
    options = AnnotationOptions(
        table_format=TableFormat(columns=ColumnNames(time="t"), unit="ms", value_range=(1.0, 7.0)),
        delay_s=0.4,
    )
    result, _ = scores(path, annotation_labels(tmp_path / "a", options=options))
    assert result.scores[0].frames == FRAMES - 10  # frames of the last 0.4 s have no label
    assert result.ccc["mean"] == pytest.approx(1, abs=1e-4)


def test_raters_are_combined_with_the_chosen_method(tmp_path):
    for name, values in (("a", TRACE), ("b", -0.1 * TRACE)):
        annotate(tmp_path / "l" / f"vid.{name}.csv", values, "time_s")
    path = table(tmp_path / "p.csv", **{"vid.mp4": TRACE})
    mean, ewe = (
        scores(
            path,
            annotation_labels(
                tmp_path / "l", options=AnnotationOptions(raters=method, rater_pattern=r"\.[ab]$")
            ),
        )[1]["vid"].labels
        for method in ("mean", "ewe")
    )
    np.testing.assert_allclose(mean, 0.45 * TRACE, atol=1e-5)
    np.testing.assert_allclose(ewe, TRACE, atol=1e-5)  # b contradicts the mean, so its weight is 0


def test_doubtful_labels_are_noted(tmp_path):
    (tmp_path / "a").mkdir()
    rows = [f"{v:.4f},{a:.4f}" for v, a in np.abs(TRACE)[: FRAMES - 4]]
    (tmp_path / "a" / "vid.csv").write_text("\n".join(["valence,arousal", *rows]) + "\n")
    path = table(tmp_path / "p.csv", **{"vid.mp4": TRACE})
    result, _ = scores(path, annotation_labels(tmp_path / "a"))
    assert [note.partition(" ")[2][:14] for note in result.notes] == ["without times ", "label is below"]
    scaled = AnnotationOptions(table_format=TableFormat(value_range=(0.0, 1.0)))
    result, _ = scores(path, annotation_labels(tmp_path / "a", options=scaled))
    assert len(result.notes) == 1


def test_faces_are_named_as_in_the_table_and_with_the_name_of_their_labels(tmp_path):
    rows = [
        f"{t:.6f},{v:.6f},{a:.6f},{number},two.mp4"
        for number, values in ((1, TRACE), (0, -TRACE))
        for t, (v, a) in zip(TIMES_S, values, strict=True)
    ]
    path = tmp_path / "p.csv"
    path.write_text("\n".join(["time_s,valence,arousal,face_id,input", *rows]) + "\n")
    annotate(tmp_path / "a" / "two.csv", TRACE, "time_s")
    result, found = scores(path, annotation_labels(tmp_path / "a"))
    assert set(found) == {"two"}
    (note,) = result.notes
    assert note.endswith("1 of 2 (two.mp4 (face_id 0), whose labels are called two_face2).")
    annotate(tmp_path / "a" / "two_face2.csv", -TRACE, "time_s")
    result, found = scores(path, annotation_labels(tmp_path / "a"))
    assert set(found) == {"two", "two_face2"}
    assert result.ccc["mean"] == pytest.approx(1)
    assert result.notes == ()


def test_the_people_of_label_tables_are_resampled_as_those_of_a_store(tmp_path):
    people = {"v1": "ann", "v2": "ann", "v3": "bob", "v4": "bob"}
    rng = np.random.default_rng(0)
    values = {video: 0.8 * TRACE + rng.uniform(-0.2, 0.2, TRACE.shape) for video in people}
    path = table(tmp_path / "p.csv", **{f"{video}.mp4": x for video, x in values.items()})
    store = stores.empty(tmp_path / "s.zarr")
    (tmp_path / "l").mkdir()
    for video, person in people.items():
        stores.add_video(store, video, FRAMES)
        with store.stage(video, "label", {"split": "", "subject": person}) as writer:
            writer.append("valence", TRACE[:, 0])
            writer.append("arousal", TRACE[:, 1])
        traces = zip(TIMES_S.tolist(), TRACE.tolist(), strict=True)
        rows = [f"{t!r},{v!r},{a!r},{person}" for t, (v, a) in traces]
        (tmp_path / "l" / f"{video}.csv").write_text(
            "\n".join(["time,valence,arousal,subject", *rows]) + "\n"
        )
    of_tables = scores(path, annotation_labels(tmp_path / "l"))[0].scores[0]
    of_store = scores(path, store_labels(store))[0].scores[0]
    assert of_tables.resampled == of_store.resampled
    assert [v.subject for v in of_tables.videos] == ["ann", "ann", "bob", "bob"]
    for name, bounds in of_store.intervals.items():
        np.testing.assert_allclose(of_tables.intervals[name], bounds, atol=1e-5)
