"""Trajectories as CSV or JSON lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from typing import TextIO

from vacli.output.frame_table import COLUMNS, FrameTable


class CsvWriter:
    """One table for all inputs, the header once."""

    def __init__(self, out: TextIO) -> None:
        self._writer = csv.writer(out, lineterminator="\n")
        self._writer.writerow(COLUMNS)

    def write(self, table: FrameTable) -> None:
        """Append the rows of one table."""
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


def write_summaries(tables: Iterable[FrameTable], out: TextIO) -> None:
    """One CSV row an input."""
    writer = None
    for table in tables:
        row = table.summary()
        if writer is None:
            writer = csv.DictWriter(out, list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow({k: f"{v:.4f}" if isinstance(v, float) else v for k, v in row.items()})


def _value(name: str, cell: str) -> str | float | int | None:
    if name in ("modality", "input"):
        return cell
    if cell == "":
        return None
    return int(cell) if name in ("frame", "face_ok", "audio_ok", "person") else float(cell)
