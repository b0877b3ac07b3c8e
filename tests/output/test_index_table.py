"""The index of an output folder as CSV."""

from __future__ import annotations

import csv
import io

import pytest
from synth.frame_tables import HOSTILE_NAMES, frame_table

from vacli.output.formats import TableOptions
from vacli.output.frame_table import summary_columns
from vacli.output.index_table import IndexEntry, index_lines, indexed_inputs, indexed_tables, is_index


def rows(text: str, delimiter: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))


def test_each_face_and_each_failure_has_a_row():
    faces = [frame_table("v/a.mp4", face_id).summary() for face_id in (0, 1)]
    entries = [IndexEntry("a.csv", "v/a.mp4", faces), IndexEntry("b.csv", "v/b.mp4", cause="v/b.mp4: broken")]
    text = "".join(index_lines(entries, TableOptions()))
    first, second, failed = rows(text)
    assert list(first) == ["file", "status", *summary_columns(), "cause"]
    assert [first[c] for c in ("file", "status", "input", "face_id", "frames", "duration_s", "cause")] == [
        "a.csv", "complete", "v/a.mp4", "0", "150", "6.0000", "",
    ]  # fmt: skip
    assert second["face_id"] == "1"
    assert [failed[c] for c in ("file", "status", "input", "frames", "cause")] == [
        "b.csv", "failed", "v/b.mp4", "", "v/b.mp4: broken",
    ]  # fmt: skip


def test_the_columns_are_those_of_a_summary():
    assert summary_columns() == tuple(frame_table().summary())


def test_decimal_commas():
    entry = IndexEntry("a.csv", "a.mp4", [frame_table("a.mp4").summary()])
    (row,) = rows("".join(index_lines([entry], TableOptions(decimal_comma=True))), ";")
    assert row["duration_s"] == "6,0000"


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_no_name_is_a_formula_or_breaks_a_row(name):
    entries = [
        IndexEntry("", name, cause=f"{name}: no"),
        IndexEntry("a.csv", name, [frame_table(name).summary()]),
    ]
    failed, complete = rows("".join(index_lines(entries, TableOptions())))
    prefix = "./" if name[0] in "=@\t" else ""
    assert failed["input"] == complete["input"] == f"{prefix}{name}"
    assert not failed["cause"].startswith(("=", "@", "\t"))


@pytest.mark.parametrize("decimal_comma", [False, True])
def test_the_complete_tables_of_an_index_are_listed_once(decimal_comma, tmp_path):
    faces = [frame_table("a.mp4", face_id).summary() for face_id in (0, 1)]
    entries = [IndexEntry("b.csv", "b.mp4", cause="broken"), IndexEntry("a.csv", "a.mp4", faces)]
    entries.append(IndexEntry("two\nlines.csv", "c.mp4", faces[:1]))
    text = "".join(index_lines(entries, TableOptions(decimal_comma=decimal_comma)))
    (tmp_path / "index.csv").write_text(text, newline="")
    assert indexed_tables(tmp_path) == [tmp_path / "a.csv", tmp_path / "two\nlines.csv"]


def test_the_input_of_each_complete_table_is_read_as_it_was_written(tmp_path):
    entries = [
        IndexEntry(f"{n}.csv", name, [frame_table(name).summary()]) for n, name in enumerate(HOSTILE_NAMES)
    ]
    text = "".join(index_lines([*entries, IndexEntry("x.csv", "x.mp4", cause="broken")], TableOptions()))
    (tmp_path / "index.csv").write_text(text, encoding="utf-8", errors="surrogateescape", newline="")
    inputs = indexed_inputs(tmp_path)
    assert inputs is not None
    assert [name.removeprefix("./") for name in inputs.values()] == list(HOSTILE_NAMES)


def test_a_damaged_index_names_no_table(tmp_path):
    (tmp_path / "index.csv").write_text("file,status\na.csv,complete\n")
    assert indexed_inputs(tmp_path) == {"a.csv": ""}
    (tmp_path / "index.csv").write_text('file,status\na.csv,"' + "x" * 200_000)
    assert indexed_inputs(tmp_path) == {}


def test_another_file_is_no_index(tmp_path):
    assert indexed_tables(tmp_path) is None
    (tmp_path / "index.csv").write_text("mine,too\n")
    assert indexed_tables(tmp_path) is None


@pytest.mark.parametrize(
    ("head", "expected"), [("file,status,x", True), ("file;status", True), ("a,b", False)]
)
def test_an_index_has_its_header(head, expected):
    assert is_index(head) is expected
