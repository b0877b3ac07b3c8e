"""Reading frames with PyAV: the backend that reads everything FFmpeg reads, on every platform."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import av
import numpy as np

from vacli.media.container import opened, picture_stream, reason
from vacli.media.frame import Frame
from vacli.media.probe import MediaInfo
from vacli.media.timeline import Timeline


class PyavReader:
    """A `VideoReader` on PyAV. Each iteration starts at the first frame; only one may run at a time."""

    def __init__(self, info: MediaInfo, timeline: Timeline) -> None:
        self.info = info
        self.times_s = timeline.times_s
        self.broken = timeline.broken
        self._timeline = timeline
        self._frames: Iterator[Frame] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        if self._frames is not None:
            self._frames.close()

    def __len__(self) -> int:
        return len(self.times_s)

    def __iter__(self) -> Iterator[Frame]:
        self.broken = self._timeline.broken
        self._frames = self._read()
        return self._frames

    def _read(self) -> Iterator[Frame]:
        row, seen = -1, 0
        for picture in self._pictures():
            row = self._row_of(picture.pts, row + 1)
            if row == len(self):
                break
            seen += 1
            yield Frame(row, float(self.times_s[row]), self._rgb(picture))
        if self.broken is None and seen < len(self):
            self.broken = f"{len(self) - seen} of {len(self)} frames do not decode"

    def _row_of(self, tick: int, first: int) -> int:
        """The row that a decoded picture belongs to, at or after `first`; rows between stay without one."""
        return first + int(np.searchsorted(self._timeline.ticks[first:], tick))

    def _rgb(self, picture: av.VideoFrame) -> np.ndarray:
        # One thread: handing slices to others costs more than it saves at these sizes.
        rgb = picture.reformat(format="rgb24", threads=1).to_ndarray()
        return self.info.video.turn.apply(rgb)

    def _pictures(self) -> Iterator[av.VideoFrame]:
        with opened(self.info.path) as container:
            stream = picture_stream(container)
            stream.thread_type = "AUTO"
            try:
                for packet in container.demux(stream):
                    try:
                        yield from packet.decode()
                    except av.FFmpegError as problem:
                        self._break(f"a packet does not decode ({reason(problem)})", packet)
            except av.FFmpegError as problem:
                self._break(f"the file cannot be read further ({reason(problem)})")

    def _break(self, what: str, packet: av.Packet | None = None) -> None:
        where = (
            f" near {float(packet.pts * packet.time_base):.3f} s" if packet is not None and packet.pts else ""
        )
        self.broken = self.broken or what + where
