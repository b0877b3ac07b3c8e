"""`va summarize`: rows of faces, videos, subjects and groups, over bins and intervals."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from synth.frame_tables import frame_table

from vacli.errors import InputError, LabelError, OutputError, UsageError
from vacli.files.digests import file_sha256
from vacli.output.formats import TableOptions, write_file
from vacli.output.frame_table import FrameTable, modality
from vacli.output.provenance import read_sidecar
from vacli.output.record_table import csv_text
from vacli.progress import RecordingProgress
from vacli.steps._prediction_settings import PredictSettings
from vacli.steps.summarize import SummarizeSettings, Summary, run

RATE_HZ = 10
N_FRAMES = 100


def steps_table(name: str, low: float, high: float, face_id: int = 0) -> FrameTable:
    """10 s: valence `low` for 4 s, then `high`; the last second has neither face nor speech."""
    n = np.arange(N_FRAMES)
    seen = n < 90
    columns = {
        "frame": n,
        "time_s": n / RATE_HZ,
        "valence": np.where(n < 40, low, high),
        "arousal": np.zeros(N_FRAMES),
        "face_detected": seen,
        "audio_present": np.zeros(N_FRAMES, bool),
        "modality": modality(seen, np.zeros(N_FRAMES, bool)),
        "quality": np.where(n < 10, 0.2, np.where(seen, 0.9, 0.0)),
        "quality_limit": np.where(n < 10, "pose", np.where(seen, "sharpness", "no_face_or_speech")),
        "face_id": np.full(N_FRAMES, face_id),
    }
    return FrameTable(name, columns)


COLUMNS = ("time_s", "valence", "arousal", "modality", "quality", "quality_limit", "face_id", "input")


@pytest.fixture
def inputs(tmp_path) -> Path:
    """A table of two recordings, the second one with two faces."""
    tables = [
        steps_table("v/a.mp4", 0.0, 0.4),
        steps_table("v/b.mp4", -0.2, 0.0),
        steps_table("v/b.mp4", 0.6, 0.6, face_id=1),
    ]
    write_file(tables, tmp_path / "va.csv", TableOptions(columns=COLUMNS))
    return tmp_path / "va.csv"


@pytest.fixture
def sheet(tmp_path) -> Path:
    path = tmp_path / "sheet.csv"
    path.write_text("input,face_id,subject,condition\na,,s1,x\nb,0,s2,x\nb,1,s1,y\n")
    return path


def summarize(
    inputs: Path, progress: RecordingProgress | None = None, min_quality: float | None = None, **more: object
) -> Summary:
    prediction = PredictSettings(inputs=(inputs,), min_quality=min_quality)
    return run(SummarizeSettings(prediction=prediction, **more), progress)


def rows(inputs: Path, *names: str, **more: object) -> list[list[str]]:
    """Columns of the summary as CSV."""
    text = csv_text(summarize(inputs, **more).table)
    return [[row[name] for name in names] for row in csv.DictReader(io.StringIO(text))]


def test_each_face_has_a_row(inputs):
    made = rows(inputs, "input", "face_id", "valence_mean", "valid_fraction", "quality_mean")
    assert made == [
        ["v/a.mp4", "0", f"{0.4 * 50 / 90:.4f}", "0.9000", "0.7400"],
        ["v/b.mp4", "0", f"{-0.2 * 40 / 90:.4f}", "0.9000", "0.7400"],
        ["v/b.mp4", "1", "0.6000", "0.9000", "0.7400"],
    ]


def test_faces_of_a_video_are_pooled(inputs):
    names = ("input", "faces", "frames", "duration_s", "valence_mean")
    assert rows(inputs, *names, per="video")[1] == [
        "v/b.mp4",
        "2",
        "200",
        "20.000",
        f"{(-0.2 * 40 / 90 + 0.6) / 2:.4f}",
    ]


def test_bins_cover_each_recording(inputs):
    made = rows(inputs, "start_s", "end_s", "valence_mean", "valid_fraction", bin_s=4.0)[:3]
    assert made == [
        ["0.000", "4.000", "0.0000", "1.0000"],
        ["4.000", "8.000", "0.4000", "1.0000"],
        ["8.000", "12.000", "0.4000", "0.5000"],
    ]
    assert len(rows(inputs, "input", bin_s=10.0)) == 3, "no bin beyond the end"


@pytest.mark.parametrize("bin_s", [0.1, 0.2, 0.3, 0.7])
def test_each_frame_is_in_the_bin_of_its_time(inputs, bin_s):
    made = rows(inputs, "input", "start_s", "end_s", "frames", bin_s=bin_s)
    counts = [int(row[3]) for row in made if row[0] == "v/a.mp4"]
    tenths = np.arange(N_FRAMES) // round(bin_s * 10)
    assert counts == np.bincount(tenths).tolist()


def test_bins_without_a_prediction_are_kept_and_empty(inputs):
    assert rows(inputs, "start_s", "valence_mean", "valence_se", bin_s=1.0)[9] == ["9.000", "", ""]


def test_intervals_may_overlap_and_belong_to_one_recording(inputs, tmp_path):
    (tmp_path / "turns.csv").write_text("start,end,label,input\n3,5,early,\n0:04,0:06,late,a\n20,30,none,b\n")
    made = rows(
        inputs, "input", "face_id", "label", "start_s", "valence_mean", intervals=tmp_path / "turns.csv"
    )
    assert made == [
        ["v/a.mp4", "0", "early", "3.000", "0.2000"],
        ["v/a.mp4", "0", "late", "4.000", "0.4000"],
        ["v/b.mp4", "0", "early", "3.000", "-0.1000"],
        ["v/b.mp4", "0", "none", "20.000", ""],
        ["v/b.mp4", "1", "early", "3.000", "0.6000"],
        ["v/b.mp4", "1", "none", "20.000", ""],
    ]


def test_subjects_and_groups_pool_intervals_of_one_label(inputs, sheet, tmp_path):
    (tmp_path / "turns.csv").write_text("start,end,label\n0,1,t\n4,5,t\n5,6,u\n")
    chosen = {"intervals": tmp_path / "turns.csv", "groups": sheet}
    assert rows(inputs, "subject", "label", "duration_s", "valence_mean", per="subject", **chosen) == [
        ["s1", "t", "4.000", f"{(0 + 0.4 + 0.6 * 2) / 4:.4f}"],
        ["s1", "u", "2.000", "0.5000"],
        ["s2", "t", "2.000", "-0.1000"],
        ["s2", "u", "1.000", "0.0000"],
    ]
    groups = rows(inputs, "condition", "label", "recordings", "valence_mean", per="group", **chosen)
    assert groups[0] == ["x", "t", "2", f"{(0.2 - 0.1) / 2:.4f}"]


def test_groups_are_columns_of_the_rows_of_faces(inputs, sheet):
    made = rows(inputs, "input", "face_id", "subject", "condition", groups=sheet)
    assert made == [["v/a.mp4", "0", "s1", "x"], ["v/b.mp4", "0", "s2", "x"], ["v/b.mp4", "1", "s1", "y"]]
    assert rows(inputs, "condition", "subject", groups=sheet, per="video")[1] == ["", ""], "they differ"


def test_recordings_that_the_sheet_lacks_are_named(inputs, tmp_path):
    (tmp_path / "sheet.csv").write_text("input,condition\na,x\n")
    progress = RecordingProgress()
    made = summarize(inputs, progress, groups=tmp_path / "sheet.csv", per="group")
    assert [row["condition"] for row in made.table.rows] == ["x"]
    assert progress.warnings == [f"v/b.mp4: not in {tmp_path / 'sheet.csv'}, so left out"]


def test_the_baseline_of_seconds_is_that_of_each_face(inputs):
    made = rows(inputs, "valence_baseline", "valence_change", baseline="0:4", bin_s=5.0)
    assert made[1] == ["0.0000", "0.4000"]
    assert made[3] == ["-0.2000", "0.2000"]


def test_the_baseline_of_a_file_is_that_of_the_person(inputs, sheet, tmp_path):
    (tmp_path / "neutral.csv").write_text("start,end,input\n4,8,a\n")
    progress = RecordingProgress()
    made = summarize(inputs, progress, groups=sheet, baseline=str(tmp_path / "neutral.csv"))
    text = list(csv.DictReader(io.StringIO(csv_text(made.table))))
    assert [row["valence_baseline"] for row in text] == ["0.4000", "", "0.4000"]
    assert text[2]["valence_change"] == "0.2000", "the same subject in another recording"
    assert text[1]["valence_change"] == ""
    assert progress.warnings == ["v/b.mp4: no frame with a prediction in the baseline, so no change"]


def test_frames_of_low_quality_are_left_out_and_counted(inputs):
    progress = RecordingProgress()
    made = summarize(inputs, progress, min_quality=0.3)
    row = made.table.rows[0]
    assert row["valid_fraction"] == pytest.approx(0.8)
    assert row["min_quality"] == 0.3
    assert progress.messages == [
        "30 of 270 frames (11.1 %) have a quality below 0.3 and are left out: pose 30"
    ]


def test_filters_are_declared_in_columns(inputs):
    (row, *_) = summarize(inputs, smooth_s=0.5, rate_hz=5.0).table.rows
    assert (row["smooth_s"], row["rate_hz"], row["frames"]) == (0.5, 5.0, 50)
    assert "smooth_s" not in summarize(inputs).table.rows[0]


def test_the_summary_is_written_and_equal_in_every_run(inputs, sheet, tmp_path):
    for name in ("x.csv", "y.csv"):
        summarize(
            inputs, out=tmp_path / name, groups=sheet, per="group", bin_s=2.0, above=(("arousal", 0.1),)
        )
    assert (tmp_path / "x.csv").read_bytes() == (tmp_path / "y.csv").read_bytes()
    assert "arousal_above_0.1_s" in (tmp_path / "x.csv").read_text()
    made = read_sidecar(tmp_path / "x.csv")
    assert made is not None
    assert made["files"] == {"x.csv": file_sha256(tmp_path / "x.csv")}
    assert made["inputs"] == [{"name": "va.csv", "sha256": file_sha256(inputs)}]
    assert made["settings"]["bin_s"] == 2.0
    assert made["settings"]["groups"]["sha256"] == file_sha256(sheet)


def test_an_existing_summary_needs_force(inputs, tmp_path):
    (tmp_path / "x.csv").write_text("mine")
    with pytest.raises(OutputError, match=r"x\.csv exists"):
        summarize(inputs, out=tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text() == "mine"
    summarize(inputs, out=tmp_path / "x.csv", force=True)
    assert (tmp_path / "x.csv").read_text().startswith("input,")


def test_an_input_that_fails_is_named_and_the_others_are_summarized(inputs, tmp_path):
    (tmp_path / "bad.csv").write_text("time_s,valence\n0,0\n")
    prediction = PredictSettings(inputs=(tmp_path / "bad.csv", inputs))
    made = run(SummarizeSettings(prediction=prediction))
    assert [failure.reason for failure in made.batch.failed] == [
        f"{tmp_path / 'bad.csv'}: the table has no column arousal"
    ]
    assert len(made.table.rows) == 3
    with pytest.raises(InputError, match="no input could be summarized"):
        summarize(tmp_path / "bad.csv")


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"per": "subject"}, "--per subject needs --groups with a column subject"),
        ({"per": "group"}, "--per group needs --groups"),
        ({"per": "person"}, "--per person is none of face, video, subject, group"),
        ({"bin_s": 1.0, "intervals": Path("t.csv")}, "--bin and --intervals exclude each other"),
        ({"bin_s": 0.0}, "--bin must be above 0"),
        ({"smooth_s": -1.0}, "--smooth must be above 0"),
        ({"rate_hz": float("nan")}, "--rate must be above 0"),
        ({"above": (("calm", 0.1),)}, "--above calm 0.1"),
        ({"baseline": "5:2"}, "--baseline 5:2: the end is not after the start"),
        ({"baseline": "none.csv"}, r"--baseline none\.csv is no file"),
        ({"out": Path("x.vtt")}, r"unknown ending '\.vtt'"),
        ({"min_quality": 3.0}, "--min-quality 3 is not from 0 to 1"),
    ],
)
def test_wrong_settings_are_refused(chosen, message, inputs):
    with pytest.raises(UsageError, match=message) as caught:
        summarize(inputs, **chosen)
    assert "\n" not in caught.value.one_line()


def test_wrong_tables_are_refused(inputs, tmp_path):
    (tmp_path / "t.csv").write_text("start,end\n3,2\n")
    for name in ("intervals", "groups"):
        with pytest.raises(LabelError, match=r"t\.csv:[12]: "):
            summarize(inputs, **{name: tmp_path / "t.csv"})
    for name in ("label", "valence_mean", "min_quality"):
        (tmp_path / "t.csv").write_text(f"input,{name}\na,x\n")
        with pytest.raises(UsageError, match=f"a column of groups is called {name}"):
            summarize(inputs, groups=tmp_path / "t.csv")


def test_a_table_of_all_columns_is_summarized(tmp_path):
    write_file([frame_table()], tmp_path / "full.jsonl", TableOptions())
    (row,) = rows(tmp_path / "full.jsonl", "arousal_peaks", "valid_fraction", "valence_se")
    assert row[:2] == ["1", f"{125 / 150:.4f}"]
    assert float(row[2]) > 0


@pytest.fixture
def two_days(tmp_path) -> Path:
    """A table of two recordings of one name, of 10 s and of 5 s, and of a sound without a face."""
    short = steps_table("x/day2/clip.mp4", 0.2, 0.2)
    short = FrameTable(short.name, {name: values[:50] for name, values in short.columns.items()})
    tables = [steps_table("x/day1/clip.mp4", 0.0, 0.4), short, steps_table("x/sound.wav", 0.1, 0.1, -1)]
    write_file(tables, tmp_path / "va.csv", TableOptions(columns=COLUMNS))
    return tmp_path / "va.csv"


@pytest.mark.parametrize("option", ["groups", "intervals", "baseline"])
def test_a_name_of_several_recordings_is_refused(two_days, tmp_path, option):
    text = "input,start,end,condition\n{},0,1,x\n"
    (tmp_path / "t.csv").write_text(text.format("clip.mp4"))
    with pytest.raises(LabelError, match=r"t\.csv: clip\.mp4 names x/day1/clip\.mp4 and x/day2/clip\.mp4"):
        summarize(
            two_days, **{option: str(tmp_path / "t.csv") if option == "baseline" else tmp_path / "t.csv"}
        )
    (tmp_path / "t.csv").write_text(text.format("day1/clip.mp4"))
    if option == "intervals":
        assert rows(two_days, "input", intervals=tmp_path / "t.csv") == [["x/day1/clip.mp4"]]
    if option == "groups":
        (tmp_path / "t.csv").write_text("input,condition\nday1/clip.mp4,x\n")
        assert rows(two_days, "condition", groups=tmp_path / "t.csv") == [["x"], [""], [""]]


def test_recordings_with_an_empty_group_are_named(inputs, tmp_path):
    (tmp_path / "sheet.csv").write_text("input,subject,condition\na,s1,x\nb,,\n")
    for per, column in (("group", "condition"), ("subject", "subject")):
        progress = RecordingProgress()
        summarize(inputs, progress, groups=tmp_path / "sheet.csv", per=per)
        assert progress.warnings == [f"v/b.mp4: no {column} in {tmp_path / 'sheet.csv'}, so left out"]
    progress = RecordingProgress()
    summarize(inputs, progress, groups=tmp_path / "sheet.csv")
    assert not progress.warnings, "the faces have rows with an empty group"


def test_a_group_or_bin_of_one_person_has_no_standard_error(two_days, tmp_path):
    (tmp_path / "sheet.csv").write_text("input,condition\nday1/clip,x\nday2/clip,x\nsound,y\n")
    columns = ("condition", "start_s", "recordings", "faces", "valence_se", "valence_effective_n")
    made = rows(two_days, *columns, groups=tmp_path / "sheet.csv", per="group", bin_s=5.0)
    assert [row[:4] + row[5:] for row in made] == [
        ["x", "0.000", "2", "2", "2.0"],
        ["x", "5.000", "1", "1", "1.0"],
        ["y", "0.000", "1", "0", "1.0"],
        ["y", "5.000", "1", "0", "1.0"],
    ]
    assert [row[4] == "" for row in made] == [False, True, True, True]


def test_only_recordings_and_faces_with_frames_are_counted(two_days):
    assert rows(two_days, "input", "recordings", "faces", bin_s=5.0) == [
        ["x/day1/clip.mp4", "1", "1"],
        ["x/day1/clip.mp4", "1", "1"],
        ["x/day2/clip.mp4", "1", "1"],
        ["x/sound.wav", "1", "0"],
        ["x/sound.wav", "1", "0"],
    ]
