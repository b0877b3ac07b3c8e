"""The pictures of a live stream as frames with ascending times, and what is unusual about each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import av
import numpy as np
from av.container import InputContainer

from vacli.media.container import DECODER_ERRORS, clock_zero_s, tick_of, to_seconds
from vacli.media.damage import DamageAwareDecoder
from vacli.media.live_input import LiveFrame
from vacli.media.orientation import UPRIGHT_AS_STORED, Orientation, read_orientation
from vacli.media.probe import read_pixel_aspect
from vacli.media.timestamps import MIN_STEP_S, nominal_hz
from vacli.media.video_pyav import upright_rgb

GAP_S = 1.0
GAP, RESIZED = "gap", "resized"  # words about a frame
Flagged = tuple[LiveFrame, tuple[str, ...]]


class LivePictures:
    """Decodes the pictures of a stream; it needs every packet of the container, in order.

    is_unwanted: whether the next picture is left out, so that it is not converted; the index counts it.
    Damaged pictures have no pixels.
    """

    def __init__(
        self, container: InputContainer, stream: av.VideoStream, is_unwanted: Callable[[], bool]
    ) -> None:
        self._errors: list[str] = []
        self._stream, self._is_unwanted = stream, is_unwanted
        self._decoder = DamageAwareDecoder(container, stream, self._errors)
        self._zero_s = clock_zero_s(container)
        self._step_s = 1 / float(nominal_hz(stream.guessed_rate, stream.average_rate))
        self._count = 0
        self._unused: list[str] = []  # words about frames that were left out, for the next one
        self._last_s: float | None = None
        self._size_px: tuple[int, int] | None = None
        self._orientation = UPRIGHT_AS_STORED
        self._shown_as: tuple[int, int, int] | None = None  # rotation, width and height of `_orientation`

    def add(self, packet: av.Packet[Any]) -> Iterator[Flagged]:
        """Add a packet of any stream; yield the frames that are complete, with the words about them."""
        for picture, is_intact in self._decoder.add_packet(packet):
            yield from self._frame(picture, is_intact)
        self._errors.clear()

    def flush(self) -> Iterator[Flagged]:
        """Yield the frames that are left."""
        for picture, is_intact in self._decoder.flush():
            yield from self._frame(picture, is_intact)

    def _frame(self, picture: av.VideoFrame, is_intact: bool) -> Iterator[Flagged]:
        flags = self._unused
        time_s = self._time_s(picture)
        if self._last_s is not None and time_s - self._last_s > GAP_S:
            flags.append(GAP)
        if self._size_px not in (None, (picture.width, picture.height)):
            flags.append(RESIZED)
        self._last_s, self._size_px = time_s, (picture.width, picture.height)
        index, self._count = self._count, self._count + 1
        if self._is_unwanted():
            return
        self._unused = []
        yield LiveFrame(index, time_s, self._rgb(picture) if is_intact else None), tuple(flags)

    def _time_s(self, picture: av.VideoFrame) -> float:
        """Return the time of a picture; one that is not after the picture before is moved right after it."""
        last_s = self._last_s
        if picture.pts is None:
            return 0.0 if last_s is None else last_s + self._step_s
        time_s = to_seconds(picture.pts, tick_of(self._stream), self._zero_s)
        return time_s if last_s is None else max(time_s, last_s + MIN_STEP_S)

    def _rgb(self, picture: av.VideoFrame) -> np.ndarray | None:
        try:
            return upright_rgb(picture, read_pixel_aspect(self._stream), self._orientation_of(picture))
        except DECODER_ERRORS:
            return None

    def _orientation_of(self, picture: av.VideoFrame) -> Orientation:
        """Return the orientation, which is read again where the rotation or the size changes.

        Not at every frame: the memory of a PyAV frame whose side data were read is not freed before the next
        full collection of reference cycles.
        """
        shown_as = (picture.rotation, picture.width, picture.height)
        if shown_as != self._shown_as:
            self._shown_as, self._orientation = shown_as, read_orientation(picture)
        return self._orientation
