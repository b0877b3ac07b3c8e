"""Cells of tables that name recordings."""

from __future__ import annotations

from pathlib import Path

import pytest

from vacli.datasets.recording_names import is_same_recording, recordings_by_cell
from vacli.errors import LabelError

SHEET = Path("sheet.csv")


@pytest.mark.parametrize(
    ("cell", "same"),
    [
        ("/data/v/a.mp4", True),
        ("v/a.mp4", True),
        ("v/a", True),
        ("a.mp4", True),
        ("a", True),
        ("b/a.mp4", False),
        ("a.mov", False),
        ("v", False),
        ("/v/a.mp4", False),
        ("", False),
    ],
)
def test_a_recording_is_named_by_the_end_of_its_path(cell, same):
    assert is_same_recording(cell, "/data/v/a.mp4") == same


def test_a_stored_video_is_named_by_its_file():
    assert is_same_recording("videos/a.mp4", "a")


def test_cells_give_whole_names():
    names = ["day1/clip.mp4", "day2/clip.mp4", "clip.mp4", "one.wav"]
    cells = ["clip.mp4", "day2/clip", "one", "gone"]
    assert recordings_by_cell(cells, names, SHEET) == {
        "clip.mp4": "clip.mp4",
        "day2/clip": "day2/clip.mp4",
        "one": "one.wav",
    }


@pytest.mark.parametrize(
    ("names", "cell", "hint"),
    [
        (("x/day1/clip.mp4", "x/day2/clip.mp4"), "clip", "day1/clip.mp4"),
        (("s1/day/clip.mp4", "s2/day/clip.mp4", "s3/day/clip.mp4"), "day/clip.mp4", "s1/day/clip.mp4"),
        (("v/clip.mp4", "v/clip.wav"), "clip", "clip.mp4"),
    ],
)
def test_a_cell_that_names_several_recordings_is_refused(names, cell, hint):
    with pytest.raises(LabelError) as caught:
        recordings_by_cell([cell], names, SHEET)
    more = " and 1 more" if len(names) > 2 else ""
    assert caught.value.one_line() == (
        f"sheet.csv: {cell} names {names[0]} and {names[1]}{more}; write more of the path, such as {hint}"
    )
    assert recordings_by_cell([hint], names, SHEET) == {hint: names[0]}
