"""Frame tables as CSV, JSON lines or summaries."""

from __future__ import annotations

import csv
import json
from typing import TextIO

from vacli.output.frame_table import COLUMNS, FrameTable


class CsvWriter:
    """One table for all inputs, the header once."""

    def __init__(self, out: TextIO) -> None:
        self._writer = csv.writer(out, lineterminator="\n")
        self._header = [COLUMNS]

    def write(self, table: FrameTable) -> None:
        """Append the rows of one table, the first one below the header."""
        self._writer.writerows(self._header)
        self._header = []
        self._writer.writerows(table.rows())


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

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._writer: csv.DictWriter | None = None

    def write(self, table: FrameTable) -> None:
        """Append the row of one input."""
        row = table.summary()
        if self._writer is None:
            self._writer = csv.DictWriter(self._out, list(row), lineterminator="\n")
            self._writer.writeheader()
        self._writer.writerow({k: f"{v:.4f}" if isinstance(v, float) else v for k, v in row.items()})


def _value(name: str, cell: str) -> str | float | int | None:
    if name in ("modality", "input"):
        return cell
    if cell == "":
        return None
    return int(cell) if name in ("frame", "face_ok", "audio_ok", "person") else float(cell)
