"""What one video is to a model: rows on one clock, some of them missing, some of them annotated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Rows(Protocol):
    """A video whose rows can be read in pieces: a `Sequence` in memory or one still in the store."""

    @property
    def video(self) -> str: ...
    @property
    def labels(self) -> np.ndarray | None: ...
    @property
    def dims(self) -> Mapping[str, int]: ...
    def __len__(self) -> int: ...
    def fill(self, start: int, out: Mapping[str, np.ndarray]) -> None:
        """Write rows start, start + 1, ... into `out`: stream -> (n, D) float32, NaN where missing."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True)
class Sequence:
    """One video in memory.

    times_s: (T,) float64 seconds. streams: name -> (T, D) float32, rows with NaN where the stream is
    missing. labels: (T, 2) float32 valence and arousal, NaN where not annotated; None without labels.
    split: "train", "validation", "test" or "" where nobody said.
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
        """Write rows start, start + 1, ... into `out`, as `Rows` has it."""
        for name, rows in out.items():
            rows[...] = self.streams[name][start : start + len(rows)]
