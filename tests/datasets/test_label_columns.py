"""Columns by their usual names and by the user's."""

from __future__ import annotations

from pathlib import Path

import pytest

from vacli.datasets.label_columns import ColumnNames, find_columns, unit_of
from vacli.datasets.text_dialect import TextTable
from vacli.errors import LabelError, UsageError


def columns(header: str, unit=None, **names):
    return find_columns(TextTable(Path("x.csv"), tuple(header.split(";")), []), ColumnNames(**names), unit)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        *[(n, "s") for n in ("time_s", "Time (s)", "sec", "Seconds", "timestamp [sec]", "TimeSeconds")],
        *[(n, "ms") for n in ("ms", "time_ms", "Timestamp (ms)", "milliseconds", "timeMs")],
        *[(n, "frames") for n in ("frame", "Frame", "frame_number", "FrameNr", "frame id", "frames")],
        *[(n, "timecode") for n in ("timecode", "TC", "SMPTE")],
        *[(n, "") for n in ("time", "Timestamp", "t", "TIME")],
        *[(n, None) for n in ("s", "valence", "id", "frame_time", "lifetime", "time_of_day", "onset", "")],
    ],
)
def test_unit_follows_from_the_name_of_a_time_column(name, unit):
    assert unit_of(name) == unit


@pytest.mark.parametrize(
    ("header", "unit", "time", "found"),
    [
        ("frame;time;valence;arousal", None, 1, ""),
        ("frame;time_ms;time_s;valence;arousal", None, 2, "s"),
        ("frame;time;valence;arousal", "frames", 0, "frames"),
        ("time;valence;arousal", "ms", 0, "ms"),
        ("frame;valence;arousal", None, 0, "frames"),
        ("valence;arousal", None, None, ""),
    ],
)
def test_time_column_is_chosen_by_the_unit(header, unit, time, found):
    made = columns(header, unit)
    assert (made.time, made.unit) == (time, found)


@pytest.mark.parametrize("header", ["Valence;AROUSAL", "arousal [-1..1];valence (1-7)", "x;arousal;valence"])
def test_ratings_are_found_in_any_case_and_order(header):
    names = [name.lower() for name in header.split(";")]
    wanted = tuple(next(i for i, n in enumerate(names) if n.startswith(d)) for d in ("valence", "arousal"))
    assert columns(header).raters == {"": wanted}


@pytest.mark.parametrize(
    "header",
    [
        "valence_1;arousal_1;valence_2;arousal_2",
        "valence1;arousal1;valence2;arousal2",
        "Valence_rater1;Arousal_rater1;Valence_rater2;Arousal_rater2",
        "rater1_valence;rater1_arousal;rater2_valence;rater2_arousal",
        "valence (R1);arousal (R1);valence (R2);arousal (R2)",
        "annotator_1_valence;annotator_1_arousal;annotator_2_valence;annotator_2_arousal",
    ],
)
def test_columns_of_several_raters(header):
    assert columns(header).raters == {"1": (0, 1), "2": (2, 3)}


def test_derived_columns_are_no_raters():
    made = columns("valence;arousal;valence_std;arousal_confidence;prevalence;valence_1;arousal_1")
    assert made.raters == {"": (0, 1)}
    assert made.unused == ("valence_1", "arousal_1")


def test_columns_that_the_user_names():
    made = columns("when;v;a;V2;A2;valence", time="WHEN", valence=("v", "V2"), arousal=("a", "A2"))
    assert (made.time, made.raters) == (0, {"v": (1, 2), "V2": (3, 4)})
    assert columns("v;a", valence=("v",), arousal=("a",)).raters == {"": (0, 1)}


def test_other_columns():
    made = columns("Rater;File Name;Subject ID;valence;arousal")
    assert (made.rater, made.video, made.subject) == (0, 1, 2)
    assert columns("which;valence;arousal", video="which").video == 0


@pytest.mark.parametrize(
    ("header", "names", "error", "message"),
    [
        ("time;joy", {}, LabelError, "no column valence and arousal in the header 'time,joy'"),
        ("valence;time", {}, LabelError, "no column arousal"),
        ("valence_1;valence_2;arousal_1", {}, LabelError, r"different raters \(2\)"),
        ("valence;arousal", {"time": "tim"}, UsageError, "--time-column tim: x.csv has no such column"),
        ("v;a", {"valence": ("v",)}, UsageError, "1 --valence-column and 0 --arousal-column"),
    ],
)
def test_absent_columns_are_errors(header, names, error, message):
    with pytest.raises(error, match=message):
        columns(header, **names)


def test_unit_without_a_time_column_is_an_error():
    with pytest.raises(LabelError, match="no time column"):
        columns("valence;arousal", "ms")
