"""The rows of one moment, and the outputs that take them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vacli.media.live_input import LiveFrame
from vacli.output.columns import LIVE_COLUMNS
from vacli.output.formats import WRITERS, TableOptions
from vacli.output.frame_table import FrameTable

LATENCY = "latency_s"


@dataclass(frozen=True, eq=False)
class PredictedRows:
    """Rows that have just been predicted.

    table: with the columns LIVE_COLUMNS. captured_s: (N,) seconds of time.monotonic() at which the frames
    were captured, NaN if unknown. frame: the last frame, which the rows may not reach yet; None at the end.
    """

    table: FrameTable
    captured_s: np.ndarray
    frame: LiveFrame | None


class LiveOutput(Protocol):
    """Takes rows without delay; slow readers get fewer rows and do not slow down the prediction."""

    def write(self, rows: PredictedRows) -> None:
        """Take the rows of a moment; there may be none."""
        ...

    def close(self) -> None:
        """End the output after the last row."""
        ...


class RowText:
    """The text of rows in a format that is written by row, with the header before the first row."""

    def __init__(self, ending: str, columns: tuple[str, ...] | None = None) -> None:
        self._text = io.StringIO()
        options = TableOptions(columns or tuple(LIVE_COLUMNS))
        self._writer = WRITERS[ending].row_writer(self._text, True, options)

    def of(self, table: FrameTable) -> str:
        """The text of a table; the first call adds the header."""
        self._writer.write(table)
        text = self._text.getvalue()
        self._text.seek(0)
        self._text.truncate()
        return text
