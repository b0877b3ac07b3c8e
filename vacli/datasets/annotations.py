"""Annotations of valence and arousal in text files, and the labels of a video's frames.

Files have rows with times (CSV with the columns time_s, valence, arousal) or one row for each frame
(valence, arousal; Aff-Wild2). Values that are not annotated are NaN outside this module and `affwild2`.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vacli.clock import bracket, mix
from vacli.errors import LabelError

# Origin of each label; stored with the labels.
NOT_ANNOTATED = 0
ANNOTATED = 1
INTERPOLATED = 2  # between annotated neighbours
FROM_EXPRESSION = 3  # from the expression annotated at that frame
REPAIRED = 4  # annotated, but replaced because it contradicts the expression and its neighbours
OUTSIDE = 5  # the annotation does not reach this frame
SOURCES = {
    "not annotated": NOT_ANNOTATED,
    "annotated": ANNOTATED,
    "interpolated": INTERPOLATED,
    "from expression": FROM_EXPRESSION,
    "repaired": REPAIRED,
    "outside": OUTSIDE,
}

VALENCE_AROUSAL = ("valence", "arousal")
TIMED = ("time_s", *VALENCE_AROUSAL)
GAP_STEPS = 3.0  # in median steps: longer gaps between annotated rows are not interpolated


@dataclass(frozen=True, eq=False, kw_only=True)
class Annotation:
    """One file's valence and arousal.

    values: (R, 2) float32, NaN where not annotated. times_s: (R,) float64 ascending, or None where
    row i is frame i. trial: the file's stem. split: "train", "validation", "test" or "".
    """

    path: Path
    trial: str
    split: str
    values: np.ndarray
    times_s: np.ndarray | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class FrameLabels:
    """Labels on the frames of a video: values (N, 2) float32, source (N,) uint8 out of SOURCES."""

    values: np.ndarray
    source: np.ndarray


class AnnotationTable:
    """A text table; cells are checked when they are read, and errors name file and line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with open(path, encoding="utf-8-sig", newline="") as stream:
                lines = list(csv.reader(stream))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise LabelError(f"{path} cannot be read: {error}", hint="it must be a text table") from None
        while lines and not "".join(lines[-1]).strip():
            lines.pop()
        if not lines:
            raise LabelError(f"{path} is empty")
        self.header = tuple(cell.strip() for cell in lines[0])
        self._rows = lines[1:]

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self, columns: Sequence[int]) -> Iterator[tuple[int, list[str]]]:
        """The line number and the stripped cells of the given columns, row by row."""
        for line, row in enumerate(self._rows, start=2):
            if len(row) != len(self.header):
                raise self.error(line, f"{len(row)} values under a header of {len(self.header)}")
            yield line, [row[column].strip() for column in columns]

    def error(self, line: int, message: str) -> LabelError:
        """An error that names file and line."""
        return LabelError(f"{self.path}:{line}: {message}")

    def number(self, line: int, text: str) -> float:
        """A cell as a number; raises LabelError for anything else."""
        try:
            return float(text)
        except ValueError:
            raise self.error(line, f"{text!r} is not a number") from None

    def rating(self, line: int, text: str) -> float:
        """A cell as valence or arousal in [-1, 1]."""
        value = self.number(line, text)
        if not -1.0 <= value <= 1.0:
            raise self.error(line, f"{text} is outside [-1, 1]")
        return value


def read_timed(table: AnnotationTable, split: str = "") -> Annotation:
    """A CSV with time_s, valence and arousal among its columns; an empty cell or nan is not annotated."""
    absent = [name for name in TIMED if name not in table.header]
    if absent:
        raise table.error(1, f"no column {', '.join(absent)} in the header {','.join(table.header)!r}")
    times, values = [], []
    for line, (time, *pair) in table.rows([table.header.index(name) for name in TIMED]):
        times.append(table.number(line, time))
        if not math.isfinite(times[-1]) or (len(times) > 1 and times[-1] <= times[-2]):
            raise table.error(line, f"time {time} is not later than the time before")
        values.append([math.nan if v.lower() in ("", "nan") else table.rating(line, v) for v in pair])
    return Annotation(
        path=table.path,
        trial=table.path.stem,
        split=split,
        values=np.array(values, np.float32).reshape(-1, 2),
        times_s=np.array(times, np.float64),
    )


def on_frames(annotation: Annotation, times_s: np.ndarray) -> FrameLabels:
    """The labels of a video's frames. times_s: (N,) float64 seconds of the frames."""
    if annotation.times_s is None:
        return _row_by_row(annotation.values, len(times_s))
    return _resampled(annotation.values, annotation.times_s, times_s)


def _row_by_row(values: np.ndarray, frames: int) -> FrameLabels:
    """Row i is frame i; surplus rows are dropped, frames without a row are NaN."""
    labels = np.full((frames, 2), np.nan, np.float32)
    count = min(frames, len(values))
    labels[:count] = values[:count]
    source = _annotated(labels)
    source[count:] = OUTSIDE
    return FrameLabels(values=labels, source=source)


def _resampled(values: np.ndarray, at_s: np.ndarray, times_s: np.ndarray) -> FrameLabels:
    """Linear interpolation between neighbouring rows, because traces of a joystick or slider are continuous.

    A frame up to half a step outside the first or last row has that row's value. Where one of the two
    rows is not annotated, the frame has the value of the nearer one, which may be NaN. Frames between
    rows more than GAP_STEPS median steps apart are not annotated.
    """
    if not len(at_s):
        return _row_by_row(values, len(times_s))
    step = float(np.median(np.diff(at_s))) if len(at_s) > 1 else 0.0
    reach = step / 2 if step else 0.5
    inside = (times_s >= at_s[0] - reach) & (times_s <= at_s[-1] + reach)
    left, right, weight = bracket(times_s, at_s)
    nearer = np.where(weight[:, None] <= 0.5, values[left], values[right])
    between = mix(values[left], values[right], weight)
    labels = np.where(np.isnan(between), nearer, between)
    labels[~inside | (at_s[right] - at_s[left] > GAP_STEPS * step)] = np.nan
    source = _annotated(labels)
    source[~inside] = OUTSIDE
    return FrameLabels(values=labels.astype(np.float32), source=source)


def _annotated(labels: np.ndarray) -> np.ndarray:
    known = ~np.isnan(labels).any(axis=1)
    return np.where(known, ANNOTATED, NOT_ANNOTATED).astype(np.uint8)
