"""Frame tables as CSV, JSON lines or summaries.

In CSV a relative path that begins like a spreadsheet formula is written with ./ before it, which is a path of
the same file. JSON has names unchanged.
"""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from typing import Literal, TextIO

from vacli.output.frame_table import COLUMNS, FrameTable

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # first characters of a formula in spreadsheets


class CsvWriter:
    """One table for all inputs, with one header, or none if it was written before."""

    def __init__(self, out: TextIO, header: bool = True) -> None:
        self._out = out
        self._header = [COLUMNS] if header else []

    def write(self, table: FrameTable) -> None:
        """Append the rows of one table, the first one below the header."""
        writer = csv.writer(self._out, lineterminator="\n", quoting=_quoting(table.name))
        writer.writerows(self._header)
        self._header = []
        writer.writerows(replace(table, name=_path_cell(table.name)).rows())


class JsonWriter:
    """One JSON object a line, one line a frame."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, table: FrameTable) -> None:
        """Append the rows of one table."""
        for cells in table.rows():
            values = {name: _value(name, cell) for name, cell in zip(COLUMNS, cells, strict=True)}
            self._out.write(json.dumps(values) + "\n")


class SummaryWriter:
    """One CSV row an input; see FrameTable.summary."""

    def __init__(self, out: TextIO, header: bool = True) -> None:
        self._out, self._header = out, header

    def write(self, table: FrameTable) -> None:
        """Append the row of one input."""
        row = table.summary() | {"input": _path_cell(table.name)}
        writer = csv.writer(self._out, lineterminator="\n", quoting=_quoting(table.name))
        if self._header:
            writer.writerow(row)
        self._header = False
        writer.writerow([f"{v:.4f}" if isinstance(v, float) else v for v in row.values()])


def _path_cell(name: str) -> str:
    return f"./{name}" if name.startswith(FORMULA) else name


def _quoting(name: str) -> Literal[0, 1]:
    """A carriage return ends a line for many readers, and not every csv module quotes it."""
    return csv.QUOTE_ALL if "\r" in name else csv.QUOTE_MINIMAL


def _value(name: str, cell: str) -> str | float | int | None:
    if name in ("modality", "input"):
        return cell
    if cell == "":
        return None
    return int(cell) if name in ("frame", "face_detected", "audio_present", "face_id") else float(cell)
