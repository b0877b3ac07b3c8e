"""Intervals of recordings with labels: turns of a transcript, trials, neutral periods."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from vacli.datasets.recording_names import recordings_by_cell
from vacli.datasets.text_dialect import TextTable, decimal_mark, is_missing, parse_number, read_table
from vacli.datasets.time_columns import parse_timecodes

START, END, LABEL, INPUT = "start", "end", "label", "input"
TIMES_HINT = "write seconds or h:mm:ss.mmm"


@dataclass(frozen=True)
class Interval:
    """Seconds from start_s up to end_s. recording: the name of one recording, None for all of them.

    The name is as in the table, or the whole one after `of_recordings`.
    """

    start_s: float
    end_s: float
    label: str = ""
    recording: str | None = None

    def applies_to(self, name: str) -> bool:
        """Whether the interval is one of the recording of this whole name."""
        return self.recording in (None, name)


def of_recordings(intervals: Iterable[Interval], names: Iterable[str], path: Path) -> list[Interval]:
    """The intervals with the whole names of their recordings, where these are among `names`.

    path: of their table. Raises LabelError for a cell that names several recordings.
    """
    intervals = list(intervals)
    cells = (interval.recording for interval in intervals if interval.recording is not None)
    whole = recordings_by_cell(cells, names, path)
    return [replace(one, recording=whole.get(one.recording or "", one.recording)) for one in intervals]


def read_intervals(path: Path) -> list[Interval]:
    """Read a text table with the columns start and end, and perhaps label and input.

    Times are seconds or [h:]mm:ss[.mmm]. Rows may overlap. Raises LabelError with file and line.
    """
    table = read_table(path)
    header = [name.lower() for name in table.header]
    absent = [name for name in (START, END) if name not in header]
    if absent:
        raise table.error(1, f"no column {' or '.join(absent)}", "name the columns start,end,label,input")
    if not table.rows:
        raise table.error(1, "no rows", "add a row for each interval")
    mark = _mark(table, [header.index(START), header.index(END)])

    def text(cells: list[str], name: str) -> str:
        return cells[header.index(name)] if name in header else ""

    intervals = []
    for line, cells in table.rows:
        start_s, end_s = (_seconds(table, line, text(cells, name), name, mark) for name in (START, END))
        if end_s <= start_s:
            raise table.error(line, f"the end {end_s:g} s is not after the start {start_s:g} s")
        recording = text(cells, INPUT)
        intervals.append(
            Interval(start_s, end_s, text(cells, LABEL), None if is_missing(recording) else recording)
        )
    return intervals


def _mark(table: TextTable, columns: list[int]) -> str:
    texts = [cells[column] for _, cells in table.rows for column in columns]
    try:
        return decimal_mark(texts)
    except ValueError as error:
        raise table.error(1, str(error), "use one decimal mark") from None


def _seconds(table: TextTable, line: int, text: str, name: str, mark: str) -> float:
    try:
        if ":" not in text:
            return parse_number(text, mark)
        whole, fraction, frames = parse_timecodes([text])[0].tolist()
        if frames == frames:
            raise ValueError(text)
        return whole + fraction
    except ValueError:
        problem = f"{name} is missing" if is_missing(text) else f"{name} {text!r} is not a time"
        raise table.error(line, problem, TIMES_HINT) from None
