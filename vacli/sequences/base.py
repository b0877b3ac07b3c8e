"""The input of a sequence model: rows of features at one clock, with labels where annotated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vacli.errors import LabelError


class FeatureRows(Protocol):
    """A video whose rows are read in pieces: a `FeatureSequence` in memory or a `StoredSequence`."""

    @property
    def video(self) -> str:
        """The id of the video."""
        ...

    @property
    def labels(self) -> np.ndarray | None:
        """Valence and arousal (N, 2), NaN where not annotated; None without labels."""
        ...

    @property
    def dims(self) -> Mapping[str, int]:
        """Name of each stream -> its number of columns."""
        ...

    def __len__(self) -> int: ...
    def fill(self, start: int, out: Mapping[str, np.ndarray]) -> None:
        """Write rows start, start + 1, ... into `out`: stream -> (n, D) float32, NaN where missing."""
        ...


def labels_of(rows: FeatureRows) -> np.ndarray:
    """Labels (T, 2) of a video; LabelError where it has none."""
    if rows.labels is None:
        raise LabelError(f"{rows.video} has no labels", hint="import them with `va import-labels`")
    return rows.labels


@dataclass(frozen=True, eq=False, kw_only=True)
class FeatureSequence:
    """One video in memory.

    times_s: (T,) float64 seconds. streams: name -> (T, D) float32, rows with NaN where the stream is
    missing. labels: (T, 2) float32 valence and arousal, NaN where not annotated; None without labels.
    split: "train", "validation", "test" or "" where unknown.
    """

    video: str
    times_s: np.ndarray
    streams: Mapping[str, np.ndarray]
    labels: np.ndarray | None = None
    split: str = ""

    def __post_init__(self) -> None:
        shapes = {name: x.shape for name, x in self.streams.items()}
        if any(len(s) != 2 or s[0] != len(self) for s in shapes.values()):
            raise ValueError(f"{self.video}: {len(self)} times, streams {shapes}")
        if self.labels is not None and self.labels.shape != (len(self), 2):
            raise ValueError(f"{self.video}: {len(self)} times, labels {self.labels.shape}")

    def __len__(self) -> int:
        return len(self.times_s)

    @property
    def dims(self) -> dict[str, int]:
        """Columns of each stream."""
        return {name: x.shape[1] for name, x in self.streams.items()}

    def fill(self, start: int, out: Mapping[str, np.ndarray]) -> None:
        """Write rows start, start + 1, ... into `out`, as in `FeatureRows`."""
        for name, rows in out.items():
            rows[...] = self.streams[name][start : start + len(rows)]
