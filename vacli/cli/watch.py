"""The terminal view of `va live --watch`: the last values as bars, and the last seconds as lines."""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from vacli.cli.streams import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

    from vacli.output.live.rows import PredictedRows

DIMENSIONS = ("valence", "arousal")
BLOCKS = "▁▂▃▄▅▆▇█"
BAR_CELLS, NARROW_BAR_CELLS = 41, 21  # with one in the middle for 0
NARROW_COLUMNS = 110  # of a terminal, below which bars are short
TEXT_CELLS = 8 + 12 + 3 * 2  # names, values, and the space between the four columns
N_POINTS = 60
POINT_S = 0.25  # of the source, between two points of a line
REFRESH_HZ = 8


class WatchView:
    """Shows the rows on a terminal; the picture changes at most REFRESH_HZ times a second."""

    def __init__(self, source: str, console: Console) -> None:
        self._source, self._console = printable(source), console
        self._lines: dict[str, deque[float]] = {name: deque(maxlen=N_POINTS) for name in DIMENSIONS}
        self._last_point_s = -math.inf
        self._shown_s = -math.inf
        self._view: Live | None = None

    def write(self, rows: PredictedRows) -> None:
        """Take the rows of a moment; those of its last frame and first face are shown."""
        columns = rows.table.columns
        frames = columns["frame"].tolist()
        if not frames:
            return
        at = frames.index(frames[-1])
        row = {name: values[at] for name, values in columns.items()}
        if row["time_s"] - self._last_point_s >= POINT_S or row["time_s"] < self._last_point_s:
            self._last_point_s = float(row["time_s"])
            for name, line in self._lines.items():
                line.append(float(row[name]))
        now_s = time.monotonic()
        if now_s - self._shown_s >= 1 / REFRESH_HZ:
            self._shown_s = now_s
            view = self._shown()
            view.update(self._table(row, view.console.width), refresh=True)

    def close(self) -> None:
        """Leave the last values on the terminal."""
        if self._view is not None:
            self._view.stop()

    def _shown(self) -> Live:
        """The part of the terminal that is redrawn, from the first row on."""
        from rich.live import Live

        if self._view is None:
            self._view = Live(console=self._console, auto_refresh=False, redirect_stdout=sys.stdout.isatty())
            self._view.start()
        return self._view

    def _table(self, row: dict[str, Any], width: int) -> Table:
        """The view of a row in a terminal of `width` columns."""
        from rich.table import Table
        from rich.text import Text

        cells = BAR_CELLS if width >= NARROW_COLUMNS else NARROW_BAR_CELLS
        count = max(min(width - TEXT_CELLS - cells, N_POINTS), 1)
        title = Text(f"{self._source}  {row['time_s']:.1f} s", no_wrap=True, overflow="ellipsis")
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title=title, title_justify="left")
        for _ in range(4):
            table.add_column(no_wrap=True)
        for name in DIMENSIONS:
            value, error = float(row[name]), float(row[f"{name}_uncertainty"])
            text = "no value" if math.isnan(value) else f"{value:+.2f}"
            text += "" if math.isnan(error) or math.isnan(value) else f" ± {error:.2f}"
            line = list(self._lines[name])[-count:]
            table.add_row(name, text, Text(bar(value, cells)), Text(sparkline(line)))
        latency = f"latency {1000 * float(row['latency_s']):.0f} ms"
        table.add_row("", str(row["modality"]), Text(latency), Text(str(row["flag"])))
        return table


def bar(value: float, n_cells: int = BAR_CELLS) -> str:
    """A bar from 0 in the middle to a value from -1 to 1; only the middle for NaN."""
    middle = n_cells // 2
    end = middle if math.isnan(value) else middle + round(max(-1.0, min(1.0, value)) * middle)
    first, last = min(middle, end), max(middle, end)
    cells = ["█" if first <= cell <= last and first != last else "·" for cell in range(n_cells)]
    cells[middle] = "│"
    return "".join(cells)


def sparkline(values: list[float]) -> str:
    """Values from -1 to 1 as blocks of eight heights; a space for NaN."""
    steps = len(BLOCKS) - 1
    return "".join(
        " " if math.isnan(v) else BLOCKS[round((max(-1.0, min(1.0, v)) + 1) / 2 * steps)] for v in values
    )
