"""Tables of records, such as summaries, in the formats of text tables, Parquet and Excel."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vacli import __version__
from vacli.errors import OutputError, UsageError
from vacli.files.atomic import staged_file, staged_writer
from vacli.output.writers import FORMULA, path_cell, quoting
from vacli.packages import needed_by, require

ENDINGS = (".csv", ".tsv", ".jsonl", ".parquet", ".xlsx")
PACKAGES = {".parquet": "pyarrow", ".xlsx": "openpyxl"}
KINDS = ("text", "path", "integer", "number")

Value = str | int | float | None


@dataclass(frozen=True)
class Column:
    """kind: of KINDS. decimals: of a number."""

    name: str
    description: str
    kind: str = "number"
    decimals: int = 4


@dataclass(frozen=True, eq=False)
class RecordTable:
    """Rows are column name -> value; absent, None and NaN are missing values."""

    columns: tuple[Column, ...]
    rows: Sequence[Mapping[str, Value]]

    def values(self, row: Mapping[str, Value]) -> list[Value]:
        """The values of a row, None where missing, numbers with the decimals of the column."""
        return [_rounded(row.get(column.name), column) for column in self.columns]


def check_ending(path: Path) -> str:
    """The ending of a file in lower case.

    Raises UsageError if it is not one of ENDINGS, PackageMissing if the format needs an extra.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise UsageError(f"{path}: unknown ending {path.suffix!r}", hint=f"known: {', '.join(ENDINGS)}")
    if ending in PACKAGES:
        require(PACKAGES[ending], f"{ending} output", "use .csv")
    return ending


def write_records(table: RecordTable, path: Path, decimal_comma: bool = False) -> None:
    """Write a table in the format of the ending; the file appears when it is complete.

    Raises as `check_ending` does, and OutputError.
    """
    ending = check_ending(path)
    if ending == ".parquet":
        _write_parquet(table, path)
    elif ending == ".xlsx":
        _write_xlsx(table, path)
    else:
        text = json_lines(table) if ending == ".jsonl" else csv_text(table, ending, decimal_comma)
        with staged_writer(path) as stream:
            stream.write(text)


def csv_text(table: RecordTable, ending: str = ".csv", decimal_comma: bool = False) -> str:
    """The table as CSV or TSV.

    A text that spreadsheets would read as a formula begins with an apostrophe, a relative path with ./
    instead.
    """
    separator = "\t" if ending == ".tsv" else ";" if decimal_comma else ","
    out = io.StringIO()
    texts = "".join(str(value) for row in table.rows for value in row.values())
    writer = csv.writer(out, delimiter=separator, lineterminator="\n", quoting=quoting(texts))
    writer.writerow([_text_cell(column.name) for column in table.columns])
    writer.writerows(text_rows(table, decimal_comma))
    return out.getvalue()


def text_rows(table: RecordTable, decimal_comma: bool = False) -> list[list[str]]:
    """The cells of all rows as texts, "" where missing."""
    rows = []
    for row in table.rows:
        cells = [_cell(v, c) for v, c in zip(table.values(row), table.columns, strict=True)]
        if decimal_comma:
            is_number = [column.kind == "number" for column in table.columns]
            cells = [c.replace(".", ",") if n else c for c, n in zip(cells, is_number, strict=True)]
        rows.append(cells)
    return rows


def json_lines(table: RecordTable) -> str:
    """One JSON object a line."""
    names = [column.name for column in table.columns]
    return "".join(json.dumps(dict(zip(names, table.values(row), strict=True))) + "\n" for row in table.rows)


def _rounded(value: Value, column: Column) -> Value:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if column.kind == "number":
        return round(float(value), column.decimals) + 0.0  # no negative zero
    return int(value) if column.kind == "integer" else str(value)


def _cell(value: Value, column: Column) -> str:
    if value is None:
        return ""
    if column.kind == "number":
        return f"{value:.{column.decimals}f}"
    if column.kind == "path":
        return path_cell(str(value))
    return _text_cell(str(value)) if column.kind == "text" else str(value)


def _text_cell(text: str) -> str:
    """A text that is no formula; signed numbers are unchanged."""
    try:
        float(text)
    except ValueError:
        return f"'{text}" if text.startswith(FORMULA) else text
    return text


def _write_parquet(table: RecordTable, path: Path) -> None:
    with needed_by(".parquet output"):
        import pyarrow as pa
        from pyarrow import parquet
    kinds = {"integer": pa.int64(), "number": pa.float64()}
    schema = pa.schema(
        [
            pa.field(c.name, kinds.get(c.kind, pa.string()), metadata={"description": c.description})
            for c in table.columns
        ],
        {"creator": f"va {__version__}"},
    )
    rows = [table.values(row) for row in table.rows]
    columns = [[_utf8(row[k]) for row in rows] for k in range(len(table.columns))]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    with staged_file(path) as part:
        parquet.write_table(pa.Table.from_arrays(arrays, schema=schema), part)


def _utf8(value: Value) -> Value:
    """Bytes of a name that are not UTF-8 become \\udcXX."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _write_xlsx(table: RecordTable, path: Path) -> None:
    with needed_by(".xlsx output"):
        from openpyxl import Workbook

        from vacli.output.xlsx_writer import MAX_ROWS, save_book, text_cell
    if len(table.rows) + 1 > MAX_ROWS:
        raise OutputError(
            f"{path}: an Excel sheet holds {MAX_ROWS:,} rows, and there are {len(table.rows) + 1:,}",
            hint="write .parquet or .csv",
        )
    book = Workbook(write_only=True)
    sheet = book.create_sheet("va")
    sheet.freeze_panes = "A2"
    sheet.append([text_cell(sheet, column.name) for column in table.columns])
    for row in table.rows:
        sheet.append([_xlsx_cell(sheet, value) for value in table.values(row)])
    save_book(book, path)


def _xlsx_cell(sheet: Any, value: Value) -> Any:
    from vacli.output.xlsx_writer import text_cell

    return text_cell(sheet, value) if isinstance(value, str) else value
