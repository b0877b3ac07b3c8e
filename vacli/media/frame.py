"""One picture and the contract of whatever reads pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from vacli.media.probe import MediaInfo


@dataclass(frozen=True)
class Frame:
    """A picture as it is shown.

    index: its row in `VideoReader.times_s`. time_s: when it is shown.
    rgb: (H, W, 3) uint8, upright, contiguous, owned by whoever holds the frame.
    """

    index: int
    time_s: float
    rgb: np.ndarray


class VideoReader(Protocol):
    """Frames of one file in display order; a context manager.

    `len(reader)` and `times_s` (N,) float64 count the frames that the container shows. Iterating gives
    those of them that decode, with ascending `index`; afterwards `broken` says what was lost, or is None.
    `notes` says what a user should know of streams and clock though no frame is lost, a sentence each.
    """

    info: MediaInfo
    times_s: np.ndarray
    broken: str | None
    notes: tuple[str, ...]

    def __enter__(self) -> Self: ...

    def __exit__(self, *problem: object) -> None: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Frame]: ...
