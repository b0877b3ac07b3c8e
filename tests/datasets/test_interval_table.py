"""Intervals of recordings from text tables, and the errors of wrong ones."""

from __future__ import annotations

import pytest

from vacli.datasets.interval_table import Interval, of_recordings, read_intervals
from vacli.errors import LabelError


def read(tmp_path, text: str) -> list[Interval]:
    path = tmp_path / "turns.csv"
    path.write_text(text)
    return read_intervals(path)


def test_times_are_seconds_or_clock_times(tmp_path):
    made = read(tmp_path, "start,end,label\n0,1.5,a\n0:02,00:03.25,b\n1:00:00,1:00:01.5,c\n")
    assert made == [
        Interval(0.0, 1.5, "a"),
        Interval(2.0, 3.25, "b"),
        Interval(3600.0, 3601.5, "c"),
    ]


def test_label_and_input_are_optional_and_rows_may_overlap(tmp_path):
    assert read(tmp_path, "End;Start\n2,5;1,5\n3;1\n") == [Interval(1.5, 2.5), Interval(1.0, 3.0)]
    made = read(tmp_path, "start,end,input\n0,1,a.mp4\n0,1,\n")
    assert [interval.recording for interval in made] == ["a.mp4", None]
    whole = of_recordings(made, ["v/a.mp4", "b.mp4"], tmp_path)
    assert [[i.applies_to(name) for name in ("v/a.mp4", "b.mp4")] for i in whole] == [
        [True, False],
        [True] * 2,
    ]
    assert of_recordings(made, ["c.mp4"], tmp_path) == made, "none of the recordings"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("start,stop\n0,1\n", r"turns\.csv:1: no column end"),
        ("start,end\n", r"turns\.csv:1: no rows"),
        ("start,end\n0,1\n2,1\n", r"turns\.csv:3: the end 1 s is not after the start 2 s"),
        ("start,end\n0,1\n1,soon\n", r"turns\.csv:3: end 'soon' is not a time"),
        ("start,end\n0,1\n,2\n", r"turns\.csv:3: start is missing"),
        ("start,end\n0:00:00:12,0:00:02:00\n", r"turns\.csv:2: start '0:00:00:12' is not a time"),
        ("start,end\n0:70,2:00\n", r"turns\.csv:2: start '0:70' is not a time"),
        ("start;end\n0,5;1.5\n", r"turns\.csv:1: some numbers have decimal points and others decimal commas"),
        ("start,end\n0,1,2\n", r"turns\.csv:2: 3 values under a header of 2"),
    ],
)
def test_wrong_tables_are_refused_with_file_and_line(text, message, tmp_path):
    with pytest.raises(LabelError, match=message) as caught:
        read(tmp_path, text)
    assert "\n" not in caught.value.one_line()


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(LabelError, match="cannot be read"):
        read_intervals(tmp_path / "none.csv")
