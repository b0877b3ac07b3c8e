"""Subjects from a table and from a pattern."""

import pytest

from vacli.datasets import subjects
from vacli.errors import LabelError, UsageError


def test_file_names_videos_by_id_or_file_name(tmp_path):
    table = tmp_path / "people.csv"
    table.write_text("subject,video,age\nanna,s1,30\nben,s2.mp4,41\n", encoding="utf-8-sig")
    found = subjects.from_file(table)
    assert [found.of(video) for video in ("s1", "s2", "s3")] == ["anna", "ben", None]


def test_video_with_two_subjects_is_an_error(tmp_path):
    table = tmp_path / "people.csv"
    table.write_text("video,subject\ns1,anna\ns1,ben\n")
    with pytest.raises(LabelError, match=r"people.csv:3: s1 has two subjects"):
        subjects.from_file(table)


def test_missing_column_is_an_error(tmp_path):
    table = tmp_path / "people.csv"
    table.write_text("file,subject\ns1,anna\n")
    with pytest.raises(LabelError, match=r"people.csv:1: no column video"):
        subjects.from_file(table)


def test_row_without_subject_is_an_error(tmp_path):
    table = tmp_path / "people.csv"
    table.write_text("video,subject\ns1,NA\n")
    with pytest.raises(LabelError, match=r"people.csv:2: no video or subject"):
        subjects.from_file(table)


def test_tables_of_other_dialects(tmp_path):
    table = tmp_path / "people.csv"
    table.write_bytes("Video;Subject;Größe\r\nclip 1.mp4;Jürgen;1,8\r\n".encode("cp1252"))
    assert subjects.from_file(table).of("clip_1") == "Jürgen"


@pytest.mark.parametrize(("pattern", "subject"), [(r"^(\d+)_", "1001"), (r"^\d+", "1001"), (r"^x", None)])
def test_pattern_gives_the_first_group_or_the_whole_match(pattern, subject):
    assert subjects.from_pattern(pattern).of("1001_DFA_ANG") == subject


def test_invalid_pattern_is_a_usage_error():
    with pytest.raises(UsageError, match="subject-pattern"):
        subjects.from_pattern("(")


def test_composed_and_decomposed_names_are_one_person(tmp_path):
    table = tmp_path / "people.csv"
    table.write_text("video,subject\ns1,Jos\u00e9\ns2,Jose\u0301\ns1.mp4,Jose\u0301\n", encoding="utf-8")
    found = subjects.from_file(table)
    assert [found.of(video) for video in ("s1", "s2")] == ["Jos\u00e9", "Jos\u00e9"]
    for pattern in ("^Jos\u00e9", "^Jose\u0301"):
        assert subjects.from_pattern(pattern).of("Jos\u00e9_1") == "Jos\u00e9"
