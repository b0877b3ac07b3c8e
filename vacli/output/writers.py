"""Frame tables as CSV, JSON lines or summaries, row by row.

In CSV a relative path that begins like a spreadsheet formula is written with ./ before it, which is a path of
the same file. JSON has names unchanged.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal, TextIO

from vacli.output.columns import COLUMNS
from vacli.output.formats import DEFAULTS, TableOptions
from vacli.output.frame_table import FLAGS, INTEGERS, NUMBERS, TEXTS, FrameTable

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # first characters of a formula in spreadsheets


class CsvWriter:
    """One table for all inputs, with one header, or none if it was written before."""

    def __init__(self, out: TextIO, header: bool = True, options: TableOptions = DEFAULTS) -> None:
        self._out, self._options = out, options
        self._columns = options.columns or tuple(COLUMNS)
        self._header = [self._columns] if header else []

    def write(self, table: FrameTable) -> None:
        """Append the rows of one table, the first one below the header."""
        writer = csv_writer(self._out, table.name, self._options)
        writer.writerows(self._header)
        self._header = []
        rows = replace(table, name=path_cell(table.name)).rows(self._columns)
        writer.writerows(self._with_commas(rows) if self._options.decimal_comma else rows)

    def _with_commas(self, rows: Iterable[Sequence[str]]) -> Iterable[list[str]]:
        is_number = [column in NUMBERS for column in self._columns]
        for row in rows:
            pairs = zip(row, is_number, strict=True)
            yield [cell.replace(".", ",") if number else cell for cell, number in pairs]


class JsonWriter:
    """One JSON object a line, one line a frame. `header` has no effect: each line has the names."""

    def __init__(self, out: TextIO, header: bool = True, options: TableOptions = DEFAULTS) -> None:
        self._out = out
        self._columns = options.columns or tuple(COLUMNS)

    def write(self, table: FrameTable) -> None:
        """Append the rows of one table."""
        for cells in table.rows(self._columns):
            values = {name: _value(name, cell) for name, cell in zip(self._columns, cells, strict=True)}
            self._out.write(json.dumps(values) + "\n")


class SummaryWriter:
    """One CSV row an input; see FrameTable.summary."""

    def __init__(self, out: TextIO, header: bool = True, options: TableOptions = DEFAULTS) -> None:
        self._out, self._header, self._options = out, header, options

    def write(self, table: FrameTable) -> None:
        """Append the row of one input."""
        row = table.summary() | {"input": path_cell(table.name)}
        writer = csv_writer(self._out, table.name, self._options)
        if self._header:
            writer.writerow(row)
        self._header = False
        writer.writerow([summary_cell(value, self._options) for value in row.values()])


def summary_cell(value: str | float, options: TableOptions) -> str | int:
    """A value of a summary as text with four decimals; texts and integers as they are."""
    if not isinstance(value, float):
        return value
    text = f"{value:.4f}"
    return text.replace(".", ",") if options.decimal_comma else text


def csv_writer(out: TextIO, name: str, options: TableOptions) -> Any:
    """A writer of CSV rows that contain the name of an input."""
    return csv.writer(out, lineterminator="\n", quoting=quoting(name), delimiter=options.delimiter)


def path_cell(name: str) -> str:
    """The same path, but not a formula of a spreadsheet."""
    return f"./{name}" if name.startswith(FORMULA) else name


def quoting(name: str) -> Literal[0, 1]:
    """A carriage return ends a line for many readers, and not every csv module quotes it."""
    return csv.QUOTE_ALL if "\r" in name else csv.QUOTE_MINIMAL


def _value(name: str, cell: str) -> str | float | int | None:
    if name in TEXTS:
        return cell
    if cell == "":
        return None
    return int(cell) if name in (*INTEGERS, *FLAGS) else float(cell)
