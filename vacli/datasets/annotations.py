"""Annotations of valence and arousal in text files, and the labels of a video's frames.

Files have rows with times (`label_tables`) or one row for each frame (Aff-Wild2). Values that are not
annotated are NaN outside of the readers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vacli.clock import bracket, mix
from vacli.datasets.text_dialect import decode
from vacli.datasets.time_columns import FrameTimes
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
    row i is frame i, or where `frame_times` depends on the video. trial: the video's name, which is the
    file's stem in a table of one video. folders: those of the video where the table names them, else None.
    split: "train", "validation", "test" or "". rater, subject: "" where unknown. unit: that of the file's
    times. notes: choices that were made in reading the file.
    """

    path: Path
    trial: str
    split: str
    values: np.ndarray
    times_s: np.ndarray | None = None
    frame_times: FrameTimes | None = None
    folders: tuple[str, ...] | None = None
    rater: str = ""
    subject: str = ""
    unit: str = "s"
    notes: tuple[str, ...] = ()

    @property
    def is_by_row(self) -> bool:
        """Whether row i is frame i."""
        return self.times_s is None and self.frame_times is None

    def seconds(self, times_s: np.ndarray, first_frame: int = 0) -> np.ndarray | None:
        """(R,) seconds of the rows in a video with frames at times_s; None where row i is frame i.

        Raises LabelError for timecodes that do not fit the video's rate.
        """
        if self.frame_times is None:
            return self.times_s
        return self.frame_times.seconds(times_s, first_frame)


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
            lines = list(csv.reader(io.StringIO(decode(path), newline="")))
        except csv.Error as error:
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


def on_frames(
    annotation: Annotation, times_s: np.ndarray, first_frame: int = 0, delay_s: float = 0.0
) -> FrameLabels:
    """The labels of a video's frames. times_s: (N,) float64 seconds of the frames.

    first_frame: the number of the first frame in tables with frame numbers. delay_s: the labels are moved
    earlier by this time.
    """
    at_s = annotation.seconds(times_s, first_frame)
    if at_s is None and not delay_s:
        return _row_by_row(annotation.values, len(times_s))
    values = annotation.values if at_s is not None else annotation.values[: len(times_s)]
    at_s = times_s[: len(values)] if at_s is None else at_s
    return _resampled(values, at_s - delay_s, times_s)


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


def subject_of(video: str, annotations: Iterable[Annotation]) -> str:
    """The person that the annotations of a video name, "" where none does; LabelError for several people."""
    named = sorted({a.subject for a in annotations if a.subject})
    if len(named) > 1:
        raise LabelError(
            f"{video} has the subjects {named[0]} and {named[1]}", hint="give each video one subject"
        )
    return named[0] if named else ""


def _annotated(labels: np.ndarray) -> np.ndarray:
    known = ~np.isnan(labels).any(axis=1)
    return np.where(known, ANNOTATED, NOT_ANNOTATED).astype(np.uint8)
