"""What every `VideoReader` here does alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from vacli.media.frame import Frame
from vacli.media.probe import MediaInfo
from vacli.media.timeline import Timeline


class TimedReader:
    """A `VideoReader` on a timeline that is known; `_read` gives its frames and sets `broken`.

    Each iteration starts at the first frame; leaving the context ends the one that runs.
    """

    def __init__(self, info: MediaInfo, timeline: Timeline) -> None:
        self.info = info
        self.times_s = timeline.times_s
        self.broken = timeline.broken
        self.notes = info.notes + timeline.notes
        self._frames: Iterator[Frame] | None = None

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

    def _read(self) -> Iterator[Frame]:
        raise NotImplementedError
