"""Annotation tables: one trace in many dialects, units and scales gives the same labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vacli.datasets.affwild2 import LabelFile
from vacli.datasets.annotations import Annotation, on_frames
from vacli.datasets.label_columns import ColumnNames
from vacli.datasets.label_tables import TableFormat, read
from vacli.errors import LabelError

VIDEO_S = np.arange(100) / 25.0
TIMES_S = np.arange(0, 100, 5) / 25.0
VALENCE = np.round(np.sin(TIMES_S), 3)
AROUSAL = np.round(0.5 * np.cos(2 * TIMES_S), 3)
GAP = 7  # the row without annotation


def labels(path: Path, **options) -> list[Annotation]:
    return read(LabelFile(path, "", ""), TableFormat(**options))


def write(path: Path, lines, encoding: str = "utf-8", end: str = "\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((end.join(lines) + end).encode(encoding))
    return path


def trace(separator=",", decimal=".", missing="", header="time_s valence arousal", time=lambda s: f"{s:.2f}"):
    """The lines of the trace in one dialect."""
    lines = [separator.join(header.split(" "))]
    for row, (t, v, a) in enumerate(zip(TIMES_S, VALENCE, AROUSAL, strict=True)):
        cells = [missing if row == GAP else f"{x:.3f}" for x in (v, a)]
        line = separator.join(cell.replace(".", decimal) if cell != missing else cell for cell in cells)
        lines.append(time(t).replace(".", decimal) + separator + line)
    return lines


def timecode(t: float) -> str:
    return f"00:00:{t:06.3f}"


DIALECTS = {
    "plain": (trace(), {}, {}),
    "semicolons and decimal commas": (trace(";", ",", "NA"), {}, {}),
    "tabs": (trace("\t"), {}, {}),
    "tabs and decimal commas": (trace("\t", ",", "-"), {}, {}),
    "blanks": (trace("  ", missing="NaN", header="Time Valence Arousal"), {}, {}),
    "blanks and decimal commas": (trace(" ", ",", "nan"), {}, {}),
    "bars": (trace("|"), {}, {}),
    "UTF-16": (trace(";", ","), {"encoding": "utf-16"}, {}),
    "byte order mark and CRLF": (trace(), {"encoding": "utf-8-sig", "end": "\r\n"}, {}),
    "Windows-1252": (["# Müller", *trace()], {"encoding": "cp1252"}, {}),
    "old Mac line ends": (trace(), {"end": "\r"}, {}),
    "Excel": (["sep=;", *trace(";", ",")], {}, {}),
    "quotes": ([",".join(f'"{c}"' for c in line.split(";")) for line in trace(";", ",")], {}, {}),
    "numpy": (["# " + trace(" ")[0], *trace(" ", missing="nan")[1:]], {}, {}),
    "comments and blank lines": (["# a", *trace()[:4], "", "% b", *trace()[4:], ""], {}, {}),
    "milliseconds by name": (
        trace(header="time_ms valence arousal", time=lambda t: f"{t * 1000:.0f}"),
        {},
        {},
    ),
    "milliseconds by unit": (
        trace(header="t valence arousal", time=lambda t: f"{t * 1000:.0f}"),
        {},
        {"unit": "ms"},
    ),
    "frames from 0": (trace(header="Frame Valence Arousal", time=lambda t: f"{t * 25:.0f}"), {}, {}),
    "timecodes": (trace(";", ",", header="time valence arousal", time=timecode), {}, {}),
    "timecodes with frames": (
        trace(
            header="TC valence arousal",
            time=lambda t: f"00:00:{int(t + 1e-6):02d}:{round(t % 1 * 25) % 25:02d}",
        ),
        {},
        {},
    ),
    "named columns": (
        trace(header="x y z"),
        {},
        {"columns": ColumnNames(time="x", valence=("Y",), arousal=("z",))},
    ),
}


@pytest.mark.parametrize("name", DIALECTS)
def test_one_trace_in_every_dialect_gives_the_same_labels(tmp_path, name):
    lines, file, options = DIALECTS[name]
    (made,) = labels(write(tmp_path / "clip.csv", lines, **file), **options)
    np.testing.assert_allclose(made.seconds(VIDEO_S), TIMES_S, atol=1e-9)
    wanted = np.column_stack([VALENCE, AROUSAL])
    wanted[GAP] = np.nan
    np.testing.assert_array_equal(made.values, wanted.astype(np.float32))
    assert (made.trial, made.rater, made.subject, made.folders) == ("clip", "", "", None)


def test_scale_is_mapped_to_one(tmp_path):
    path = write(tmp_path / "clip.csv", ["t,valence,arousal", "0,1,7", "1,4,2.5", "2,NA,7.000001"])
    (made,) = labels(path, value_range=(1.0, 7.0))
    np.testing.assert_array_equal(made.values, np.array([[-1, 1], [0, -0.5], [np.nan, 1]], np.float32))


@pytest.mark.parametrize(
    ("cells", "hint"),
    [
        ("1,5", "--range 1 5"),
        ("0,9", "--range 0 10"),
        ("-77,3", "--range -100 100"),
        ("-5,-5", "leave the cells of frames without annotation empty"),
    ],
)
def test_values_outside_the_scale_suggest_a_range(tmp_path, cells, hint):
    path = write(tmp_path / "clip.csv", ["time,valence,arousal", f"0,{cells}"])
    with pytest.raises(LabelError, match=r"clip\.csv:2: .* is outside \[-1, 1\]") as raised:
        labels(path)
    assert raised.value.hint is not None
    assert hint in raised.value.hint


def test_header_of_affwild2_with_another_scale_is_a_plain_table(tmp_path):
    path = write(tmp_path / "clip.csv", ["valence,arousal", "1,9", "5,5"])
    (made,) = labels(path, value_range=(1.0, 9.0))
    np.testing.assert_array_equal(made.values, np.array([[-1, 1], [0, 0]], np.float32))
    assert made.notes == ("clip.csv has no times: row i is frame i",)


def test_long_table_has_one_annotation_for_each_video_and_rater(tmp_path):
    lines = ["rater;video;time;valence;arousal;participant"]
    for t in (0, 1):  # interleaved
        for video, person in (("a/x.mp4", "p1"), ("b\\x.mp4", "p2"), ("y", "NA")):
            lines += [f"{rater};{video};{t};0,{t};0,5;{person}" for rater in ("r1", "r2")]
    made = labels(write(tmp_path / "all.csv", lines))
    assert [(m.folders, m.trial, m.rater, m.subject) for m in made] == [
        (("a",), "x.mp4", "r1", "p1"),
        (("a",), "x.mp4", "r2", "p1"),
        (("b",), "x.mp4", "r1", "p2"),
        (("b",), "x.mp4", "r2", "p2"),
        (None, "y", "r1", ""),
        (None, "y", "r2", ""),
    ]
    assert all(m.times_s.tolist() == [0.0, 1.0] for m in made)


def test_columns_of_several_raters(tmp_path):
    lines = ["t,valence_1,arousal_1,valence_2,arousal_2", "0,0.1,0.2,0.3,0.4", "1,,,0.5,0.6"]
    one, two = labels(write(tmp_path / "clip.csv", lines))
    assert (one.rater, two.rater) == ("1", "2")
    np.testing.assert_array_equal(two.values, np.array([[0.3, 0.4], [0.5, 0.6]], np.float32))
    assert np.isnan(one.values[1]).all()


def test_rows_without_times_are_frames(tmp_path):
    path = write(tmp_path / "clip.csv", ["index;Arousal;Valence", *(f"{i};0,1;0,{i}" for i in range(1, 5))])
    (made,) = labels(path)
    assert made.seconds(VIDEO_S) is None
    np.testing.assert_allclose(made.values[:, 0], [0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["Zeit,valence,arousal", "0.0,0,0", "0.5,0,0"], "no time column, but 'Zeit' ascends"),
        (["at,valence,arousal", "00:01,0,0", "00:02,0,0"], "no time column, but 'at' ascends"),
        (["x,valence,arousal", "a,0,0", "", "b,0,0"], r":3: blank line in a table with one row"),
        (["t,valence,arousal", "0,0,0", "0,0,0"], r":3: the time of '0,0,0' is not later"),
        (["t,valence,arousal", "0:00,0,0", "0:99,0,0"], r":3: '0:99' is not a timecode"),
        (["video,t,valence,arousal", "a,0,0,0", ",1,0,0"], r":3: no video"),
        (["subject,t,valence,arousal", "a,0,0,0", "b,1,0,0"], r":2: one video has the subjects a and b"),
        (["t,valence,arousal", "0,inf,0"], r":2: 'inf' is not a number"),
    ],
)
def test_errors_name_the_line(tmp_path, lines, message):
    with pytest.raises(LabelError, match=message):
        labels(write(tmp_path / "clip.csv", lines))


def test_delay_moves_labels_earlier(tmp_path):
    (made,) = labels(write(tmp_path / "clip.csv", trace()))
    moved = on_frames(made, VIDEO_S, 0, 1.0).values
    np.testing.assert_allclose(moved[:60], on_frames(made, VIDEO_S).values[25:85], atol=1e-6)
    rows = write(tmp_path / "rows.txt", ["valence,arousal", *(f"{i / 100},0" for i in range(100))])
    (frames,) = labels(rows)
    made = on_frames(frames, VIDEO_S, 0, 1.0)
    np.testing.assert_allclose(made.values[:75, 0], np.arange(25, 100) / 100, atol=1e-6)
    assert np.isnan(made.values[76:]).all()


def test_a_composed_and_a_decomposed_name_are_one_subject(tmp_path):
    lines = ["subject,t,valence,arousal", "Jos\u00e9,0,0,0", "Jose\u0301,1,0,0"]
    (made,) = labels(write(tmp_path / "clip.csv", lines))
    assert made.subject == "Jos\u00e9"
