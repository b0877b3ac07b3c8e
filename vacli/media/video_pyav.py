"""Frames read with PyAV, the backend for all formats of FFmpeg on all platforms."""

from __future__ import annotations

from collections.abc import Generator

import av
import numpy as np

from vacli.media.container import DECODER_ERRORS, error_text, open_container, required_video_stream
from vacli.media.damage import decode_with_damage
from vacli.media.orientation import Orientation
from vacli.media.probe import MediaInfo, required_video
from vacli.media.reader import Frame, TimedReader
from vacli.media.timeline import Timeline


class PyavReader(TimedReader):
    """A `VideoReader` with PyAV. Each iteration starts at the first frame; only one may run at a time."""

    def __init__(self, info: MediaInfo, timeline: Timeline) -> None:
        super().__init__(info, timeline)
        self._timeline = timeline
        self._video = required_video(info)

    def _read(self) -> Generator[Frame, None, None]:
        errors, is_read = self._new_pass()
        for row, picture in self._decoded(errors):
            rgb = self._rgb(picture, errors)
            if rgb is not None:
                is_read[row] = True
                yield Frame(row, float(self.times_s[row]), rgb)
        self.decode_error = self._summary(is_read, errors)

    def pictures(self) -> Generator[tuple[int, av.VideoFrame], None, None]:
        """Yield the row and the stored picture of each frame, as iteration does for upright RGB."""
        errors, is_read = self._new_pass()
        for row, picture in self._decoded(errors):
            is_read[row] = True
            yield row, picture
        self.decode_error = self._summary(is_read, errors)

    def _new_pass(self) -> tuple[list[str], np.ndarray]:
        """The errors so far, and (N,) bool: the rows whose picture was read."""
        errors = [self._timeline.decode_error] if self._timeline.decode_error else []
        return errors, np.zeros(len(self), dtype=bool)

    def _decoded(self, errors: list[str]) -> Generator[tuple[int, av.VideoFrame], None, None]:
        """Yield the row and the picture of each intact frame: no picture is better than a smeared face."""
        row = -1
        with open_container(self.info.path) as container:
            stream = required_video_stream(container)
            for picture, is_intact in decode_with_damage(container, stream, errors):
                found = self._row_of(picture.pts, row + 1)
                if found is None:
                    errors.append("the decoder outputs a frame that is not in the container's list")
                    continue
                row = found
                if is_intact:
                    yield row, picture

    def _row_of(self, tick: int | None, first: int) -> int | None:
        """Return the row at or after `first` of a decoded picture, None if there is none."""
        ticks = self._timeline.ticks
        if ticks is None:
            return first if first < len(self) else None
        if tick is None:
            return None
        row = first + int(np.searchsorted(ticks[first:], tick))
        return row if row < len(self) and ticks[row] == tick else None

    def _summary(self, is_read: np.ndarray, errors: list[str]) -> str | None:
        if not is_read.all():
            first_s = self.times_s[np.argmin(is_read)]
            count = f"{np.sum(~is_read)} of {len(self)} frames"
            missing = f"{count} do not decode or follow damage, the first at {first_s:.3f} s"
            if not is_read[-1]:
                missing += ", and no key frame ends it"
            return f"{missing} ({errors[0]})" if errors else missing
        return errors[0] if errors else None

    def _rgb(self, picture: av.VideoFrame, errors: list[str]) -> np.ndarray | None:
        try:
            return upright_rgb(picture, self._video.pixel_aspect, self._video.orientation)
        except DECODER_ERRORS as problem:
            errors.append(f"a frame cannot be converted ({error_text(problem)})")
            return None


def upright_rgb(picture: av.VideoFrame, pixel_aspect: float, orientation: Orientation) -> np.ndarray:
    """Return a decoded picture as it is shown: upright, with square pixels, (H, W, 3) uint8.

    Raises one of DECODER_ERRORS if it cannot be converted.
    """
    # At these sizes, more threads cost more time than they save.
    shown = picture.reformat(round(picture.width * pixel_aspect), format="rgb24", threads=1)
    return orientation.apply(shown.to_ndarray())
