"""Reading frames with PyAV: the backend that reads everything FFmpeg reads, on every platform."""

from __future__ import annotations

from collections.abc import Iterator

import av
import numpy as np

from vacli.media.container import FAULTS, opened, picture_stream, reason
from vacli.media.damage import judged_pictures
from vacli.media.probe import MediaInfo
from vacli.media.reader import Frame, TimedReader
from vacli.media.timeline import Timeline


class PyavReader(TimedReader):
    """A `VideoReader` on PyAV. Each iteration starts at the first frame; only one may run at a time."""

    def __init__(self, info: MediaInfo, timeline: Timeline) -> None:
        super().__init__(info, timeline)
        self._timeline = timeline

    def _read(self) -> Iterator[Frame]:
        lost = [self._timeline.broken] if self._timeline.broken else []
        given = np.zeros(len(self), dtype=bool)
        row = -1
        with opened(self.info.path) as container:
            for picture, whole in judged_pictures(container, picture_stream(container), lost):
                found = self._row_of(picture.pts, row + 1)
                if found is None:
                    lost.append("the decoder gives a frame that the container does not list")
                    continue
                row = found
                # A row without a picture is honest, a smeared face is not.
                rgb = self._rgb(picture, lost) if whole else None
                if rgb is not None:
                    given[row] = True
                    yield Frame(row, float(self.times_s[row]), rgb)
        self.broken = self._summary(given, lost)

    def _row_of(self, tick: int | None, first: int) -> int | None:
        """The row at or after `first` that a decoded picture belongs to, None if there is none."""
        ticks = self._timeline.ticks
        row = first if ticks is None else first + int(np.searchsorted(ticks[first:], tick))
        known = row < len(self) and (ticks is None or ticks[row] == tick)
        return row if known else None

    def _summary(self, given: np.ndarray, lost: list[str]) -> str | None:
        if not given.all():
            first_s = self.times_s[np.argmin(given)]
            count = f"{np.sum(~given)} of {len(self)} frames"
            missing = f"{count} do not decode or follow damage, the first at {first_s:.3f} s"
            if not given[-1]:
                missing += ", and no key frame ends it"
            return f"{missing} ({lost[0]})" if lost else missing
        return lost[0] if lost else None

    def _rgb(self, picture: av.VideoFrame, lost: list[str]) -> np.ndarray | None:
        video = self.info.video
        try:
            # One thread: handing slices to others costs more than it saves at these sizes.
            shown = picture.reformat(round(picture.width * video.pixel_aspect), format="rgb24", threads=1)
            return video.turn.apply(shown.to_ndarray())
        except FAULTS as problem:
            lost.append(f"a frame cannot be converted ({reason(problem)})")
            return None
