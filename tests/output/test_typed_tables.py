"""Parquet and Excel files, read again by pyarrow and openpyxl."""

from __future__ import annotations

import errno
import zipfile
from pathlib import Path

import numpy as np
import pytest
from synth.frame_tables import HOSTILE_NAMES, N_FRAMES, frame_table

from vacli.errors import OutputError
from vacli.output import xlsx_writer
from vacli.output.columns import COLUMNS
from vacli.output.formats import TableOptions, write_file
from vacli.output.frame_table import FLAGS, INTEGERS, NUMBERS, TEXTS

ALL = TableOptions()


def expected(name: str) -> list[object]:
    """A column of the CSV as numbers, flags and texts; None where it is empty."""
    cells = [row[0] for row in frame_table().rows((name,))]
    convert = str if name in TEXTS else int if name in (*INTEGERS, *FLAGS) else float
    return [convert(cell) if cell else None for cell in cells]


def test_parquet_has_the_values_of_the_csv(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_file([frame_table(), frame_table("b.mp4", -1)], tmp_path / "x.parquet", ALL)
    table = parquet.read_table(tmp_path / "x.parquet")
    assert table.column_names == list(COLUMNS)
    for name in COLUMNS:
        assert table[name].to_pylist()[:N_FRAMES] == expected(name), name
    assert table["face_id"].to_pylist()[N_FRAMES:] == [None] * N_FRAMES
    assert set(table["input"].to_pylist()[N_FRAMES:]) == {"b.mp4"}
    kinds = {name: str(table.schema.field(name).type) for name in COLUMNS}
    assert {kinds[name] for name in NUMBERS} == {"double"}
    assert {kinds[name] for name in FLAGS} == {"bool"}
    assert {kinds[name] for name in INTEGERS} == {"int64"}
    meaning = table.schema.field("time_s").metadata[b"description"].decode()
    assert meaning == COLUMNS["time_s"]


def test_parquet_of_selected_columns(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_file([frame_table()], tmp_path / "x.parquet", TableOptions(columns=("arousal", "time_s")))
    table = parquet.read_table(tmp_path / "x.parquet")
    assert table.column_names == ["arousal", "time_s"]
    np.testing.assert_allclose(table["time_s"], np.arange(N_FRAMES) / 25, atol=5e-7)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_names_in_parquet_are_unchanged(name, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_file([frame_table(name)], tmp_path / "x.parquet", ALL)
    escaped = name.encode("utf-8", "backslashreplace").decode()
    assert set(parquet.read_table(tmp_path / "x.parquet")["input"].to_pylist()) == {escaped}


def sheet(path):
    return pytest.importorskip("openpyxl").load_workbook(path).active


def test_excel_has_the_values_of_the_csv(tmp_path):
    pytest.importorskip("openpyxl")
    write_file([frame_table(), frame_table("b.mp4")], tmp_path / "x.xlsx", ALL)
    header, *rows = sheet(tmp_path / "x.xlsx").iter_rows(values_only=True)
    assert list(header) == list(COLUMNS)
    assert len(rows) == 2 * N_FRAMES
    for name, column in zip(COLUMNS, zip(*rows, strict=True), strict=True):
        assert list(column[:N_FRAMES]) == expected(name), name
    assert rows[-1][-1] == "b.mp4"


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_names_in_excel_are_texts_and_no_formulas(name, tmp_path):
    pytest.importorskip("openpyxl")
    write_file([frame_table(name)], tmp_path / "x.xlsx", TableOptions(columns=("time_s", "input")))
    cell = sheet(tmp_path / "x.xlsx")["B2"]
    assert cell.data_type == "s"
    assert cell.value == xlsx_writer.NOT_IN_XML.sub("\ufffd", name)


def test_excel_has_no_time_of_writing(tmp_path):
    pytest.importorskip("openpyxl")
    write_file([frame_table("a.mp4")], tmp_path / "va.xlsx", TableOptions())
    with zipfile.ZipFile(tmp_path / "va.xlsx") as book:
        assert {info.date_time for info in book.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert book.read("docProps/core.xml").count(b">1980-01-01T00:00:00Z<") == 2


def test_more_rows_than_a_sheet_holds_are_refused(tmp_path, monkeypatch):
    pytest.importorskip("openpyxl")
    monkeypatch.setattr(xlsx_writer, "MAX_ROWS", N_FRAMES)
    with pytest.raises(OutputError, match="an Excel sheet holds 150 rows, and there are 151"):
        write_file([frame_table()], tmp_path / "x.xlsx", ALL)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_of_a_workbook_is_one_error(tmp_path, monkeypatch):
    pytest.importorskip("openpyxl")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)  # not in zipfile, which prints a traceback
    with pytest.raises(OutputError, match=r"x\.xlsx: no space left"):
        write_file([frame_table()], tmp_path / "x.xlsx", ALL)
    assert not list(tmp_path.iterdir())
