"""The challenge's submission file: one line a frame of the official list, in its order.

Header `image_location,valence,arousal`; lines `TRIAL/00001.jpg,v,a`, numbered from 1. Frames without a
face are in the list too, and the list, not the video, says how many frames there are.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vacli.datasets.annotations import Table
from vacli.errors import LabelError
from vacli.files import atomic

HEADER = ("image_location", "valence", "arousal")


@dataclass(frozen=True)
class Written:
    """Lines written, and by trial how many frames beyond a trajectory's end repeat its last value."""

    lines: int
    repeated: Mapping[str, int]


def image(trial: str, row: int) -> str:
    """Where the challenge has the image of a frame; row 0 is the first."""
    return f"{trial}/{row + 1:05d}.jpg"


def write(path: Path, trajectories: Mapping[str, np.ndarray], sample: Path | None = None) -> Written:
    """Write (T, 2) trajectories by trial, cut to [-1, 1], for the frames that `sample` lists.

    Without a sample: every frame of every trial, in order of names. Raises LabelError where the sample
    lists a trial that has no trajectory, or a value is NaN.
    """
    wanted = list(locations(sample)) if sample else _all(trajectories)
    absent = sorted({trial for _, trial, _ in wanted} - {t for t, v in trajectories.items() if len(v)})
    if absent:
        raise LabelError(
            f"{sample}: no prediction for {len(absent)} trials ({', '.join(absent[:3])}, ...)",
            hint="predict the whole test set",
        )
    repeated: dict[str, int] = {}
    lines = [",".join(HEADER)]
    for location, trial, row in wanted:
        values = trajectories[trial]
        if row >= len(values):
            repeated[trial] = repeated.get(trial, 0) + 1
        lines.append(f"{location},{_pair(values[min(row, len(values) - 1)], location)}")
    atomic.write_text(path, "\n".join(lines) + "\n")
    return Written(lines=len(wanted), repeated=repeated)


def check(path: Path, sample: Path) -> int:
    """Hold a submission against the official list; returns its number of lines.

    Raises LabelError with file and line at the first difference: header, order, number of lines, a value
    that is no number or outside [-1, 1].
    """
    table = _table(path)
    count = 0
    official = locations(sample)
    for line, (location, *pair) in table.rows((0, 1, 2)):
        wanted = next(official, None)
        if wanted is None:
            raise table.error(line, f"{location} comes after the last line of {sample}")
        if location != wanted[0]:
            raise table.error(line, f"{location} where {sample} has {wanted[0]}")
        for cell in pair:
            table.rating(line, cell)
        count += 1
    if (wanted := next(official, None)) is not None:
        raise table.error(count + 2, f"ends before {wanted[0]} of {sample}")
    return count


def locations(sample: Path) -> Iterator[tuple[str, str, int]]:
    """Location, trial and row (from 0) of every line of an official list, which names each frame once."""
    table, seen = _table(sample), set[str]()
    for line, (location,) in table.rows((0,)):
        match = re.fullmatch(r"(.+)/(\d+)\.jpg", location)
        if not match or int(match[2]) < 1:
            raise table.error(line, f"{location!r} is not TRIAL/00001.jpg")
        if location in seen:
            raise table.error(line, f"{location} for the second time")
        seen.add(location)
        yield location, match[1], int(match[2]) - 1


def _table(path: Path) -> Table:
    table = Table(path)
    if table.header != HEADER:
        raise table.error(1, f"header {','.join(table.header)!r}, wanted {','.join(HEADER)!r}")
    return table


def _all(trajectories: Mapping[str, np.ndarray]) -> list[tuple[str, str, int]]:
    return [(image(t, row), t, row) for t in sorted(trajectories) for row in range(len(trajectories[t]))]


def _pair(values: Iterable[float], location: str) -> str:
    cut = [min(max(float(v), -1.0), 1.0) if not math.isnan(v) else math.nan for v in values]
    if any(map(math.isnan, cut)):
        raise LabelError(f"no prediction for {location}")
    return ",".join(f"{v:.6f}" for v in cut)
