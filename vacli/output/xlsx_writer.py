"""Frame tables as an Excel workbook with one sheet."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vacli.errors import OutputError
from vacli.files.atomic import write_bytes
from vacli.output.columns import COLUMNS
from vacli.output.formats import TableOptions
from vacli.output.frame_table import FLAGS, INTEGERS, TEXTS, FrameTable
from vacli.packages import needed_by

MAX_ROWS = 1_048_576  # of a sheet, with the header
MAX_CHARACTERS = 32_767  # of a cell
# Characters that XML does not have. A carriage return is among them, because XML readers make it a line feed.
NOT_IN_XML = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")

WRITTEN = re.compile(rb"(<dcterms:(?:created|modified)[^>]*>)[^<]*")


class XlsxWriter:
    """Numbers as numbers, missing values as empty cells, texts as texts, even if they begin with `=`.

    Characters of a name that a workbook cannot hold are written as U+FFFD.
    """

    def __init__(self, options: TableOptions) -> None:
        self._columns = options.columns or tuple(COLUMNS)

    def write(self, tables: Sequence[FrameTable], path: Path) -> None:
        """Write all rows below one header. Raises OutputError for more rows than a sheet holds."""
        with needed_by(".xlsx output"):
            from openpyxl import Workbook
        n_rows = sum(map(len, tables)) + 1
        if n_rows > MAX_ROWS:
            raise OutputError(
                f"{path}: an Excel sheet holds {MAX_ROWS:,} rows, and there are {n_rows:,}",
                hint="write .parquet or .csv",
            )
        book = Workbook(write_only=True)
        sheet = book.create_sheet("va")
        sheet.freeze_panes = "A2"
        sheet.append(list(self._columns))
        for row in self._rows(sheet, tables):
            sheet.append(row)
        save_book(book, path)

    def _rows(self, sheet: Any, tables: Sequence[FrameTable]) -> Iterator[list[Any]]:
        for table in tables:
            name = text_cell(sheet, table.name)
            for row in table.rows(self._columns):
                yield [
                    name if column == "input" else _value(column, cell)
                    for column, cell in zip(self._columns, row, strict=True)
                ]


def save_book(book: Any, path: Path) -> None:
    """Write a workbook. Raises OutputError.

    It is packed in memory: zipfile prints a traceback if the disk is full.
    """
    packed = io.BytesIO()
    book.save(packed)
    write_bytes(path, _undated(packed))


def _undated(packed: io.BytesIO) -> bytes:
    """The same workbook without the time of writing, so that equal tables give equal files."""
    made = io.BytesIO()
    with zipfile.ZipFile(packed) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "docProps/core.xml":
                content = WRITTEN.sub(rb"\g<1>1980-01-01T00:00:00Z", content)
            new.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return made.getvalue()


def text_cell(sheet: Any, text: str) -> Any:
    """A cell that is a text, although openpyxl makes a formula of a value that begins with `=`."""
    from openpyxl.cell import WriteOnlyCell

    cell = WriteOnlyCell(sheet, NOT_IN_XML.sub("\ufffd", text)[:MAX_CHARACTERS])
    cell.data_type = "s"
    return cell


def _value(column: str, cell: str) -> str | float | int | None:
    if cell == "" or column in TEXTS:
        return cell or None
    return int(cell) if column in (*INTEGERS, *FLAGS) else float(cell)
