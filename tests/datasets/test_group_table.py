"""Sheets that put recordings and faces into groups, and the errors of wrong ones."""

from __future__ import annotations

import pytest

from vacli.datasets.group_table import GroupTable, read_groups
from vacli.errors import LabelError


def read(tmp_path, text: str) -> GroupTable:
    path = tmp_path / "sheet.csv"
    path.write_text(text)
    return read_groups(path)


def test_a_row_of_a_face_precedes_that_of_its_recording(tmp_path):
    sheet = read(tmp_path, "input,face_id,Subject,Condition\na.mp4,1,s1,sad\na.mp4,,s2,happy\nb,0,s3,NA\n")
    assert (sheet.groups, sheet.has_subjects) == (("Condition",), True)
    assert sheet.values_of("v/a.mp4", 1) is None, "another name"
    sheet = sheet.of_recordings(["v/a.mp4", "b.mp4", "c.mp4"])
    assert sheet.values_of("v/a.mp4", 1) == {"subject": "s1", "Condition": "sad"}
    assert sheet.values_of("v/a.mp4", 0) == {"subject": "s2", "Condition": "happy"}
    assert sheet.values_of("b.mp4", 0) == {"subject": "s3", "Condition": ""}
    assert sheet.values_of("b.mp4", 1) is None
    assert sheet.values_of("c.mp4", 0) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,group\na,x\n", r"sheet\.csv:1: no column input"),
        ("input,face_id\na,0\n", r"sheet\.csv:1: no column of a group"),
        ("input,group\na,x\n,y\n", r"sheet\.csv:3: input is missing"),
        ("input,face_id,group\na,left,x\n", r"sheet\.csv:2: face_id 'left' is not a number from 0"),
        ("input,group\na,x\nb,x\na,y\n", r"sheet\.csv:4: a is in line 2 as well"),
    ],
)
def test_wrong_sheets_are_refused_with_file_and_line(text, message, tmp_path):
    with pytest.raises(LabelError, match=message) as caught:
        read(tmp_path, text)
    assert "\n" not in caught.value.one_line()


def test_composed_and_decomposed_names_are_one_subject(tmp_path):
    sheet = read(tmp_path, "input,subject,group\na,Jos\u00e9,\u00e9\nb,Jose\u0301,e\u0301\n")
    assert sheet.values_of("a", 0) == sheet.values_of("b", 0) == {"subject": "Jos\u00e9", "group": "\u00e9"}


def test_two_rows_of_one_recording_are_refused(tmp_path):
    sheet = read(tmp_path, "input,group\na,x\nv/a.mp4,y\n")
    with pytest.raises(LabelError, match=r"sheet\.csv: a and v/a\.mp4 name v/a\.mp4"):
        sheet.of_recordings(["v/a.mp4"])
    faces = read(tmp_path, "input,face_id,group\na,0,x\nv/a.mp4,1,y\n").of_recordings(["v/a.mp4"])
    assert [faces.values_of("v/a.mp4", number)["group"] for number in (0, 1)] == ["x", "y"]
