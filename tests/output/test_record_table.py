"""Tables of records are equal in all formats, and hold hostile texts."""

from __future__ import annotations

import csv
import io
import json

import pytest
from synth.frame_tables import HOSTILE_NAMES

from vacli.errors import UsageError
from vacli.output.record_table import Column, RecordTable, csv_text, json_lines, write_records

COLUMNS = (
    Column("input", "file", "path"),
    Column("label", "text", "text"),
    Column("n", "count", "integer"),
    Column("mean", "number", decimals=2),
)
TABLE = RecordTable(
    COLUMNS,
    [
        {"input": "a.mp4", "label": "x", "n": 3, "mean": 0.126},
        {"input": "b.mp4", "label": "-1", "n": 0, "mean": -0.001},
        {"input": "c.mp4", "mean": float("nan")},
    ],
)
VALUES = [
    {"input": "a.mp4", "label": "x", "n": 3, "mean": 0.13},
    {"input": "b.mp4", "label": "-1", "n": 0, "mean": 0.0},
    {"input": "c.mp4", "label": None, "n": None, "mean": None},
]


def test_csv_and_tsv():
    expected = "input,label,n,mean\na.mp4,x,3,0.13\nb.mp4,-1,0,0.00\nc.mp4,,,\n"
    assert csv_text(TABLE) == expected
    assert csv_text(TABLE, ".tsv") == expected.replace(",", "\t")
    assert csv_text(TABLE, decimal_comma=True).splitlines()[1] == "a.mp4;x;3;0,13"


def test_json_lines_have_the_same_values():
    assert [json.loads(line) for line in json_lines(TABLE).splitlines()] == VALUES


def test_parquet_has_the_same_values_and_the_descriptions(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_records(TABLE, tmp_path / "x.parquet")
    read = parquet.read_table(tmp_path / "x.parquet")
    assert read.to_pylist() == VALUES
    assert read.schema.field("mean").metadata[b"description"] == b"number"
    assert [str(field.type) for field in read.schema] == ["string", "string", "int64", "double"]


def test_excel_has_the_same_values(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    write_records(TABLE, tmp_path / "x.xlsx")
    header, *rows = openpyxl.load_workbook(tmp_path / "x.xlsx").active.iter_rows(values_only=True)
    assert [dict(zip(header, row, strict=True)) for row in rows] == VALUES


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_texts_are_no_formulas_and_break_no_row(name, tmp_path):
    table = RecordTable(COLUMNS, [{"input": name, "label": name, "n": 1, "mean": 1.0}] * 2)
    rows = list(csv.DictReader(io.StringIO(csv_text(table), newline="")))
    assert len(rows) == 2
    for cell in (rows[0]["input"], rows[0]["label"]):
        assert cell.endswith(name)
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert json.loads(json_lines(table).splitlines()[0])["label"] == name
    for ending in (".csv", ".tsv", ".jsonl"):
        write_records(table, tmp_path / f"x{ending}")


def test_names_of_columns_are_no_formulas():
    table = RecordTable((Column("=1+1", "group", "text"),), [{"=1+1": "a"}])
    assert csv_text(table) == "'=1+1\na\n"


def test_unknown_endings_are_refused_with_the_list(tmp_path):
    with pytest.raises(UsageError, match=r"unknown ending '\.vtt'") as caught:
        write_records(TABLE, tmp_path / "x.vtt")
    assert ".csv, .tsv, .jsonl, .parquet, .xlsx" in caught.value.one_line()
