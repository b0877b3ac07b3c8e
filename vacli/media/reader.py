"""Frames, the protocol of video readers, and the base class of the readers."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from vacli.media.probe import MediaInfo
from vacli.media.timeline import Timeline


@dataclass(frozen=True)
class Frame:
    """A picture as it is shown.

    index: its row in `VideoReader.times_s`. time_s: when it is shown.
    rgb: (H, W, 3) uint8, upright, contiguous, not shared with the reader.
    """

    index: int
    time_s: float
    rgb: np.ndarray


class FrameSource(Protocol):
    """Frames in display order.

    `len(source)` and `times_s` (N,) float64 count the frames that are shown. Iteration yields those of them
    that decode, with ascending `index`; afterwards `decode_error` describes the first error, or is None.
    `notes` are sentences about streams and timestamps for the user, though no frame is lost.
    """

    times_s: np.ndarray
    decode_error: str | None
    notes: tuple[str, ...]

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Frame]: ...


class VideoReader(FrameSource, Protocol):
    """The frames of one file; a context manager."""

    info: MediaInfo

    def __enter__(self) -> Self: ...

    def __exit__(self, *problem: object) -> None: ...


class TimedReader:
    """A `VideoReader` with a known timeline; a subclass yields the frames in `_read` and sets `decode_error`.

    Each iteration starts at the first frame; leaving the context ends a running one.
    """

    def __init__(self, info: MediaInfo, timeline: Timeline) -> None:
        self.info = info
        self.times_s = timeline.times_s
        self.decode_error = timeline.decode_error
        self.notes = info.notes + timeline.notes
        self._frames: Generator[Frame, None, None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        if self._frames is not None:
            self._frames.close()

    def __len__(self) -> int:
        return len(self.times_s)

    def __iter__(self) -> Iterator[Frame]:
        self._frames = self._read()
        return self._frames

    def _read(self) -> Generator[Frame, None, None]:
        raise NotImplementedError
