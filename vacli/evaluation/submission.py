"""The challenge's submission file: one line a frame of the official list, in its order.

Header `image_location,valence,arousal`; lines `TRIAL/00001.jpg,v,a`, numbered from 1. The list also has
the frames without a face. The number of frames is that of the list, which may differ from the video's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vacli.datasets.annotations import AnnotationTable
from vacli.errors import LabelError
from vacli.files import atomic

HEADER = ("image_location", "valence", "arousal")


@dataclass(frozen=True)
class SubmissionSummary:
    """The number of lines, and for each trial the number of frames that repeat its last value."""

    lines: int
    repeated: Mapping[str, int]


def image_location(trial: str, row: int) -> str:
    """The challenge's name of a frame's image; row 0 is the first."""
    return f"{trial}/{row + 1:05d}.jpg"


def write(
    path: Path, trajectories: Mapping[str, np.ndarray], sample: Path | None = None
) -> SubmissionSummary:
    """Write (T, 2) trajectories by trial, clipped to [-1, 1], for the frames that `sample` lists.

    Without a sample: every frame of every trial, in order of names. Raises LabelError where a trial of the
    sample has no trajectory, or a value is NaN.
    """
    required = list(locations(sample)) if sample else _all(trajectories)
    absent = sorted({trial for _, trial, _ in required} - {t for t, v in trajectories.items() if len(v)})
    if absent:
        raise LabelError(
            f"{sample}: trials without a prediction: {len(absent)} ({', '.join(absent[:3])}"
            f"{', ...' if len(absent) > 3 else ''})",
            hint="predict the whole test set",
        )
    repeated: dict[str, int] = {}
    lines = [",".join(HEADER)]
    for location, trial, row in required:
        values = trajectories[trial]
        if row >= len(values):
            repeated[trial] = repeated.get(trial, 0) + 1
        lines.append(f"{location},{_pair(values[min(row, len(values) - 1)], location)}")
    atomic.write_text(path, "\n".join(lines) + "\n")
    return SubmissionSummary(lines=len(required), repeated=repeated)


def check(path: Path, sample: Path) -> int:
    """Compare a submission with the official list; returns its number of lines.

    Raises LabelError with file and line at the first difference: header, order, number of lines, a value
    that is not a number or is outside [-1, 1].
    """
    table = _table(path)
    count = 0
    official = locations(sample)
    for line, (location, *pair) in table.rows((0, 1, 2)):
        expected = next(official, None)
        if expected is None:
            raise table.error(line, f"{location} comes after the last line of {sample}")
        if location != expected[0]:
            raise table.error(line, f"{location} where {sample} has {expected[0]}")
        for cell in pair:
            table.rating(line, cell)
        count += 1
    if (expected := next(official, None)) is not None:
        raise table.error(count + 2, f"ends before {expected[0]} of {sample}")
    return count


def locations(sample: Path) -> Iterator[tuple[str, str, int]]:
    """Location, trial and row (from 0) of each line of an official list; LabelError where one is repeated."""
    table, seen = _table(sample), set[str]()
    for line, (location,) in table.rows((0,)):
        match = re.fullmatch(r"(.+)/(\d+)\.jpg", location)
        if not match or int(match[2]) < 1:
            raise table.error(line, f"{location!r} is not TRIAL/00001.jpg")
        if location in seen:
            raise table.error(line, f"{location} is listed twice")
        seen.add(location)
        yield location, match[1], int(match[2]) - 1


def _table(path: Path) -> AnnotationTable:
    table = AnnotationTable(path)
    if table.header != HEADER:
        raise table.error(1, f"header {','.join(table.header)!r}, expected {','.join(HEADER)!r}")
    return table


def _all(trajectories: Mapping[str, np.ndarray]) -> list[tuple[str, str, int]]:
    return [
        (image_location(t, row), t, row) for t in sorted(trajectories) for row in range(len(trajectories[t]))
    ]


def _pair(values: Iterable[float], location: str) -> str:
    pair = [float(v) for v in values]
    if any(map(math.isnan, pair)):
        raise LabelError(
            f"no prediction for {location}", hint="predict all frames of the trial, with `va predict --fill`"
        )
    return ",".join(f"{min(max(v, -1.0), 1.0):.6f}" for v in pair)
