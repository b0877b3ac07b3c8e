"""Annotation tables of any dialect, time unit and scale, of several raters and videos."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vacli.datasets import affwild2, text_dialect
from vacli.datasets.affwild2 import DiscreteAnnotation, LabelFile
from vacli.datasets.annotations import Annotation
from vacli.datasets.label_columns import ColumnNames, LabelColumns, find_columns
from vacli.datasets.subject_name import subject_name
from vacli.datasets.text_dialect import TextTable, is_missing
from vacli.datasets.time_columns import TIMECODE, UNIT_SCALES, FrameTimes, parse_timecodes
from vacli.errors import LabelError

DEFAULT_RANGE = (-1.0, 1.0)
ROUNDING = 1e-6  # of the range: values that far outside are clipped
COMMON_RANGES = ((0, 1), (1, 5), (1, 7), (1, 9), (0, 10), (-10, 10), (0, 100), (-100, 100), (-1000, 1000))


@dataclass(frozen=True, kw_only=True)
class TableFormat:
    """Columns, unit and scale of annotation tables; unit None: by the column's name.

    value_range: the lowest and highest value of the annotation's scale, which is mapped to [-1, 1].
    """

    columns: ColumnNames = field(default=ColumnNames())
    unit: str | None = None
    value_range: tuple[float, float] = DEFAULT_RANGE


def read(file: LabelFile, table_format: TableFormat) -> list[Annotation | DiscreteAnnotation]:
    """The annotations of a file: those of Aff-Wild2 by its headers, else one for each video and rater.

    Raises LabelError with file and line, UsageError where the table lacks a column that is given by name.
    """
    header = _first_line(file.path)
    if affwild2.is_header(header) and (len(header) > 2 or table_format == TableFormat()):
        return [affwild2.read(file)]
    return list(read_table(text_dialect.read_table(file.path), table_format, file.split))


def read_table(table: TextTable, table_format: TableFormat, split: str = "") -> list[Annotation]:
    """The annotations of a table, one for each video and rater."""
    columns = find_columns(table, table_format.columns, table_format.unit)
    if not table.rows:
        raise LabelError(f"{table.path} has no rows below its header", hint="remove the file")
    ratings = np.array(table.numbers([c for pair in columns.raters.values() for c in pair]), np.float64)
    ratings = _mapped(table, ratings.reshape(len(table.rows), -1, 2), table_format.value_range)
    times = _times(table, columns)
    made = []
    for (video, rater), places in _groups(table, columns).items():
        at = {name: array[places] for name, array in times.items()}
        shared: dict[str, Any] = {
            **_video(table, video),
            **_row_times(table, at, places),
            "path": table.path,
            "split": split,
            "unit": columns.unit or "s",
            "notes": _notes(table, columns),
            "subject": _subject(table, columns, places),
        }
        for number, name in enumerate(columns.raters):
            values = ratings[places, number].astype(np.float32)
            made.append(Annotation(values=values, rater=rater or name, **shared))
    return made


def _first_line(path: Path) -> tuple[str, ...]:
    try:
        with open(path, encoding="utf-8-sig", errors="replace", newline="") as stream:
            return tuple(cell.strip() for cell in next(csv.reader([stream.readline()]), []))
    except (OSError, csv.Error) as error:
        raise LabelError(f"{path} cannot be read: {error}", hint="it must be a text table") from None


def _groups(table: TextTable, columns: LabelColumns) -> dict[tuple[str, str], np.ndarray]:
    """Video and rater, "" without such a column -> the places of their rows in the table."""
    if columns.video is None and columns.rater is None:
        return {("", ""): np.arange(len(table.rows))}
    places: dict[tuple[str, str], list[int]] = {}
    for place, (line, cells) in enumerate(table.rows):
        key = tuple("" if c is None else cells[c] for c in (columns.video, columns.rater))
        for column, text in zip((columns.video, columns.rater), key, strict=True):
            if column is not None and is_missing(text):
                raise table.error(line, f"no {table.header[column]}")
        places.setdefault((key[0], key[1]), []).append(place)
    return {key: np.array(rows) for key, rows in places.items()}


def _video(table: TextTable, text: str) -> dict[str, object]:
    """Name and folders of a video from its cell, or the name from the file."""
    if not text:
        return {"trial": table.path.stem}
    *folders, name = re.split(r"[/\\]", text)
    return {"trial": name, "folders": tuple(folders) or None}


def _notes(table: TextTable, columns: LabelColumns) -> tuple[str, ...]:
    notes = []
    if columns.unused:
        notes.append(f"{table.path.name}: the raters' columns {', '.join(columns.unused)} are not read")
    if columns.time is None:
        notes.append(f"{table.path.name} has no times: row i is frame i")
    return tuple(notes)


def _subject(table: TextTable, columns: LabelColumns, places: np.ndarray) -> str:
    if columns.subject is None:
        return ""
    cells = (table.rows[p][1][columns.subject] for p in places)
    found = {subject_name(text) for text in cells if not is_missing(text)}
    if len(found) > 1:
        first, second = sorted(found)[:2]
        raise table.error(
            table.rows[places[0]][0],
            f"one video has the subjects {first} and {second}",
            "give each video one subject",
        )
    return found.pop() if found else ""


def _mapped(table: TextTable, ratings: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    """Ratings (R, raters, 2) of a scale on [-1, 1]; LabelError with the line of one outside the scale."""
    low, high = value_range
    slack = ROUNDING * (high - low)
    outside = np.argwhere((ratings < low - slack) | (ratings > high + slack))
    if len(outside):
        value = ratings[tuple(outside[0])]
        where = f"[{low:g}, {high:g}]"
        raise table.error(
            table.rows[outside[0][0]][0], f"{value:g} is outside {where}", _range_hint(ratings, outside)
        )
    if value_range == DEFAULT_RANGE:
        return ratings.clip(-1.0, 1.0)
    return (2 * (ratings - low) / (high - low) - 1).clip(-1.0, 1.0)


def _range_hint(ratings: np.ndarray, outside: np.ndarray) -> str:
    if (ratings[tuple(outside.T)] == affwild2.VA_INVALID).all():
        return "leave the cells of frames without annotation empty"
    low, high = np.nanmin(ratings), np.nanmax(ratings)
    fits = [r for r in COMMON_RANGES if r[0] <= low and high <= r[1]]
    example = min(fits, key=lambda r: r[1] - r[0], default=(math.floor(low), math.ceil(high)))
    found = f"the table has values from {low:g} to {high:g}"
    return f"{found}; give the scale, such as --range {example[0]} {example[1]}"


def _times(table: TextTable, columns: LabelColumns) -> dict[str, np.ndarray]:
    """Arrays (R,) of the rows: `s`, or `frames`, or `whole_s` and `frames`; none where rows are frames."""
    if columns.time is None:
        _check_untimed(table, columns)
        return {}
    texts = table.cells(columns.time)
    unit = "timecode" if columns.unit in ("", "s") and any(":" in t for t in texts) else columns.unit or "s"
    if unit == "timecode":
        return _timecodes(table, texts)
    values = np.array(table.numbers([columns.time]), np.float64).reshape(-1)
    return {"frames": values} if unit == "frames" else {"s": values * UNIT_SCALES[unit]}


def _timecodes(table: TextTable, texts: Sequence[str]) -> dict[str, np.ndarray]:
    try:
        whole, fraction, frames = parse_timecodes(texts).T
    except ValueError as error:
        line = table.rows[texts.index(str(error))][0]
        raise table.error(
            line, f"{str(error)!r} is not a timecode", "use HH:MM:SS.mmm or HH:MM:SS:FF"
        ) from None
    if np.isnan(frames).all():
        return {"s": whole + fraction}
    return {"whole_s": whole, "frames": np.nan_to_num(frames)}


def _row_times(table: TextTable, at: dict[str, np.ndarray], places: np.ndarray) -> dict[str, object]:
    """The fields `times_s` and `frame_times` of an annotation; LabelError where times do not ascend."""
    if not at:
        return {}
    times = at["s"] if "s" in at else at["frames"]
    if "whole_s" in at:
        times = at["whole_s"] + times * 1e-4  # keeps the order of timecodes
    wrong = np.flatnonzero(~np.isfinite(times) | ~(np.diff(times, prepend=-np.inf) > 0))
    if len(wrong):
        line, cells = table.rows[places[wrong[0]]]
        raise table.error(line, f"the time of {','.join(cells)!r} is not later than the time before")
    if "s" in at:
        return {"times_s": at["s"]}
    return {"frame_times": FrameTimes(frames=at["frames"], whole_s=at.get("whole_s"))}


def _check_untimed(table: TextTable, columns: LabelColumns) -> None:
    """Raise LabelError where a column of another name may hold times, or a blank line breaks the count."""
    if table.blank_line is not None:
        raise table.error(table.blank_line, "blank line in a table with one row for each frame")
    used = {columns.rater, columns.video, columns.subject, *(c for p in columns.raters.values() for c in p)}
    for column, name in enumerate(table.header):
        if column not in used and name not in columns.unused and _may_be_times(table.cells(column)):
            hint = f"name the times with --time-column {name!r}, or remove the column"
            raise table.error(1, f"no time column, but {name!r} ascends", hint)


def _may_be_times(texts: Sequence[str]) -> bool:
    """Whether a column ascends and does not just count its rows."""
    if texts and all(TIMECODE.fullmatch(text) for text in texts):
        return True
    try:
        values = np.array([float(text.replace(",", ".")) for text in texts])
    except ValueError:
        return False
    steps = np.diff(values)
    counts = len(values) and values[0] in (0, 1) and (steps == 1).all()
    return len(values) > 1 and bool((steps > 0).all()) and not counts
