"""Predicted trajectories from CSV files, their values at given times, and their labels and scores."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vacli.clock import nearest_rows
from vacli.datasets.annotations import TIMED
from vacli.datasets.text_dialect import TextTable, read_table
from vacli.errors import LabelError
from vacli.evaluation.score import VideoScore, score_video
from vacli.media.kinds import KIND_OF_SUFFIX

FACE_COLUMNS = ("face_id", "person")  # `person` in files of earlier versions
UNCERTAINTY_COLUMNS = ("valence_uncertainty", "arousal_uncertainty")


@dataclass(frozen=True, eq=False, kw_only=True)
class PredictedTrajectory:
    """One video's predictions: times_s (R,) float64 ascending, values (R, 2) float32, NaN where missing.

    uncertainty: (R, 2) standard deviation of the expected error, None where the table has none. input: the
    recording's path, or its id in a store, as the table has it; "" where the file is named after the video.
    face: 1 for the first face of the recording, 2 for the second, ... face_id: its number in the table, "" if
    the recording has no other face there.
    """

    video: str
    times_s: np.ndarray
    values: np.ndarray
    uncertainty: np.ndarray | None = None
    input: str = ""
    face: int = 1
    face_id: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """What the video may be called: the file's name with its ending, if it has one, and without."""
        file = base_name(self.input)
        return tuple(dict.fromkeys((file, self.video))) if file and self.face == 1 else (self.video,)

    @property
    def key(self) -> str:
        """The input and the place of the face in it, equal for two tables of one recording."""
        return f"{self.input or self.video}{f' (face {self.face})' if self.face > 1 else ''}"

    @property
    def description(self) -> str:
        """The input, and the number of the face if the table has several."""
        return f"{self.input or self.video}{f' (face_id {self.face_id})' if self.face_id else ''}"

    @property
    def label_description(self) -> str:
        """The same, and what the labels of a further face are called."""
        if self.face == 1:
            return self.description
        return f"{self.description}, whose labels are called {self.video}"

    def at(self, times_s: np.ndarray) -> PredictedTrajectory:
        """The nearest row at each of T times; NaN where that is more than half a step away."""
        if not len(self.times_s):
            missing = np.full((len(times_s), 2), np.nan, np.float32)
            return replace(self, times_s=times_s, values=missing, uncertainty=None)
        rows = nearest_rows(times_s, self.times_s)
        step = float(np.median(np.diff(self.times_s))) if len(self.times_s) > 1 else 1.0
        near = np.abs(self.times_s[rows] - times_s) <= 0.5 * step * (1 + 1e-6)

        def pick(table: np.ndarray) -> np.ndarray:
            return np.where(near[:, None], table[rows], np.float32(np.nan))

        uncertainty = None if self.uncertainty is None else pick(self.uncertainty)
        return replace(self, times_s=times_s, values=pick(self.values), uncertainty=uncertainty)


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelledTrajectory:
    """A video's predictions and labels: times_s (T,) seconds, predicted and labels (T, 2).

    uncertainty: (T, 2) standard deviation of the expected error, None where unknown. subject: the person in
    the video, "" where unknown.
    """

    video: str
    times_s: np.ndarray
    predicted: np.ndarray
    labels: np.ndarray
    uncertainty: np.ndarray | None = None
    subject: str = ""

    def score(self) -> VideoScore:
        """Score of the predictions."""
        return score_video(self.video, self.predicted, self.labels, self.subject)


def base_name(path: str) -> str:
    """The last part of a path of any system."""
    return re.split(r"[/\\]", path)[-1]


def video_name(path: str) -> str:
    """A recording's name without the ending of a recording: the dots of an id in a store are no endings."""
    name = base_name(path)
    return name[: -len(Path(name).suffix)] if Path(name).suffix.lower() in KIND_OF_SUFFIX else name


def read_predictions(path: Path) -> list[PredictedTrajectory]:
    """The trajectories of a table with time_s, valence and arousal, as `va predict` writes it as text.

    With a column `input` the table may hold several videos, named after that column without the ending of a
    recording. Otherwise the video is named after the file. A column `face_id` separates the faces of one
    video: the second is NAME_face2 and so on in the order of the file, as `va align --face all` names them.
    Raises LabelError with file and line.
    """
    table = read_table(path)
    absent = [name for name in TIMED if name not in table.header]
    if absent:
        raise table.error(1, f"no column {', '.join(absent)} in the header {','.join(table.header)!r}")
    if not table.rows:
        raise LabelError(f"{path}: the table has no rows")
    with_uncertainty = all(name in table.header for name in UNCERTAINTY_COLUMNS)
    names = (*TIMED, *UNCERTAINTY_COLUMNS) if with_uncertainty else TIMED
    numbers = table.numbers([table.header.index(name) for name in names])
    inputs, faces = (_texts(table, columns) for columns in (("input",), FACE_COLUMNS))
    rows: dict[tuple[str, str], list[list[float]]] = {}
    for (line, _), row, recording, face in zip(table.rows, numbers, inputs, faces, strict=True):
        _check(table, line, row)
        previous = rows.setdefault((recording, face), [])
        if previous and not row[0] > previous[-1][0]:
            what = recording or path.stem
            raise table.error(line, f"time {row[0]:g} of {what} is not later than the time before")
        previous.append(row)
    count, n_read = Counter(recording for recording, _ in rows), Counter[str]()
    trajectories = []
    for (recording, face), values in rows.items():
        n_read[recording] += 1
        made = _predicted(recording, path.stem, n_read[recording], np.array(values))
        trajectories.append(replace(made, face_id=face) if count[recording] > 1 else made)
    return trajectories


def _texts(table: TextTable, names: Sequence[str]) -> list[str]:
    """The cells of the first of these columns that there is, else empty texts."""
    column = next((table.header.index(name) for name in names if name in table.header), None)
    return [""] * len(table.rows) if column is None else table.cells(column)


def _check(table: TextTable, line: int, row: Sequence[float]) -> None:
    if math.isnan(row[0]):
        raise table.error(line, "a row without a time")
    outside = [value for value in row[1:3] if not (math.isnan(value) or -1.0 <= value <= 1.0)]
    if outside:
        raise table.error(line, f"{outside[0]:g} is outside [-1, 1]")


def _predicted(recording: str, stem: str, face: int, rows: np.ndarray) -> PredictedTrajectory:
    values, uncertainty = rows[:, 1:3].astype(np.float32), rows[:, 3:].astype(np.float32)
    name = video_name(recording) if recording else stem
    return PredictedTrajectory(
        video=name if face == 1 else f"{name}_face{face}",
        times_s=rows[:, 0],
        values=values,
        uncertainty=None if np.isnan(uncertainty).all() else uncertainty,  # also without columns
        input=recording,
        face=face,
    )
