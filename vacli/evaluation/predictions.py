"""Predicted trajectories from CSV files, and their values at given times."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vacli.clock import nearest_rows
from vacli.datasets.annotations import TIMED, AnnotationTable
from vacli.errors import LabelError

FACE_COLUMNS = ("face_id", "person")  # `person` in files of earlier versions
UNCERTAINTY_COLUMNS = ("valence_uncertainty", "arousal_uncertainty")


@dataclass(frozen=True, eq=False, kw_only=True)
class PredictedTrajectory:
    """One video's predictions: times_s (R,) float64 ascending, values (R, 2) float32, NaN where missing.

    uncertainty: (R, 2) standard deviation of the expected error, None where the table has none.
    """

    video: str
    times_s: np.ndarray
    values: np.ndarray
    uncertainty: np.ndarray | None = None

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


def read_predictions(path: Path) -> list[PredictedTrajectory]:
    """The trajectories of a CSV with time_s, valence and arousal, as `va predict --csv` writes it.

    With a column `input` the table may hold several videos, named after the stems in that column.
    Otherwise the video is named after the file. A column `face_id` separates the faces of one video: the
    second is NAME_face2 and so on in the order of the file, as `va align --face all` names them. Raises
    LabelError with file and line.
    """
    table = AnnotationTable(path)
    absent = [name for name in TIMED if name not in table.header]
    if absent:
        raise table.error(1, f"no column {', '.join(absent)} in the header {','.join(table.header)!r}")
    optional = [name for name in ("input", *FACE_COLUMNS, *UNCERTAINTY_COLUMNS) if name in table.header]
    columns = [table.header.index(name) for name in (*TIMED, *optional)]
    rows: dict[tuple[str, str], list[list[float]]] = {}
    for line, (time, valence, arousal, *cells) in table.rows(columns):
        keys = dict(zip(optional, cells, strict=True))
        video = Path(keys["input"]).stem if "input" in keys else path.stem
        row = [table.number(line, time), *(_value(table, line, text) for text in (valence, arousal))]
        row += [_number(table, line, keys.get(name, "")) for name in UNCERTAINTY_COLUMNS]
        face = next((keys[name] for name in FACE_COLUMNS if name in keys), "")
        previous = rows.setdefault((video, face), [])
        if previous and not row[0] > previous[-1][0]:
            raise table.error(line, f"time {time} of {video} is not later than the time before")
        previous.append(row)
    if not rows:
        raise LabelError(f"{path}: the table has no rows")
    n_faces: Counter[str] = Counter()
    trajectories = []
    for (video, _), values in rows.items():
        n_faces[video] += 1
        name = video if n_faces[video] == 1 else f"{video}_face{n_faces[video]}"
        trajectories.append(_predicted(name, np.array(values)))
    return trajectories


def _number(table: AnnotationTable, line: int, text: str) -> float:
    return math.nan if text.lower() in ("", "nan") else table.number(line, text)


def _value(table: AnnotationTable, line: int, text: str) -> float:
    return math.nan if text.lower() in ("", "nan") else table.rating(line, text)


def _predicted(video: str, rows: np.ndarray) -> PredictedTrajectory:
    values, uncertainty = rows[:, 1:3].astype(np.float32), rows[:, 3:].astype(np.float32)
    return PredictedTrajectory(
        video=video,
        times_s=rows[:, 0],
        values=values,
        uncertainty=None if np.isnan(uncertainty).all() else uncertainty,
    )
