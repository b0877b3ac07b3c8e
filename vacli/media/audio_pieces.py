"""Decoded sound as runs of mono 16 kHz samples, each at the place that the container gives it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import av
import numpy as np
from av.container import InputContainer

from vacli.media.container import clock_zero_s, decoded, packets_of
from vacli.media.downmix import Downmix

RATE_HZ = 16_000
# Containers that count milliseconds round each timestamp; what differs by more than this is a real jump.
JITTER_S = 0.005
BATCH_S = 0.5  # sound that is mixed and resampled in one go


@dataclass(frozen=True)
class Piece:
    """Consecutive samples (S,) float32; the first one is sample `first` of the clock."""

    first: int
    samples: np.ndarray

    @property
    def end(self) -> int:
        """The sample after the last one."""
        return self.first + len(self.samples)

    def after(self, sample: int) -> Piece:
        """What lies at or after a sample of the clock."""
        late = max(sample - self.first, 0)
        return Piece(self.first + late, self.samples[late:])


class Pieces:
    """Iterates over the pieces of one stream: ascending, without overlap, none before time 0.

    Reading goes on after a packet that does not decode; `broken` then says where that was, and
    `picture_end_s` where the other stream in the container ended, if one was given.
    """

    def __init__(
        self, container: InputContainer, stream: av.AudioStream, picture: av.VideoStream | None
    ) -> None:
        self._lost: list[str] = []
        self.picture_end_s = 0.0
        self._container, self._stream, self._picture = container, stream, picture
        self._zero_s = clock_zero_s(container)

    @property
    def broken(self) -> str | None:
        """What went wrong first."""
        return self._lost[0] if self._lost else None

    def __iter__(self) -> Iterator[Piece]:
        end = 0
        for piece in self._runs():
            piece = piece.after(end)
            end = max(end, piece.end)
            if len(piece.samples):
                yield piece

    def _runs(self) -> Iterator[Piece]:
        """Resampled pieces; a new resampler wherever the timestamps jump or the sound changes its form."""
        run: _Run | None = None
        for frame in self._decoded():
            start_s = None if frame.time is None else frame.time - self._zero_s
            if run is None or not run.continued_by(frame, start_s):
                if run is not None:
                    yield from run.finish()
                run = _Run(frame, start_s if start_s is not None else 0.0)
            yield from run.push(frame)
        if run is not None:
            yield from run.finish()

    def _decoded(self) -> Iterator[av.AudioFrame]:
        streams = [self._stream] + ([self._picture] if self._picture else [])
        for packet in packets_of(self._container, streams, self._lost):
            if packet.stream is self._stream:
                yield from decoded(packet, self._lost)
            else:
                self._note_picture(packet)

    def _note_picture(self, packet: av.Packet) -> None:
        ticks = packet.pts if packet.pts is not None else packet.dts
        if ticks is not None and not packet.is_discard:
            end_s = float((ticks + (packet.duration or 0)) * packet.time_base) - self._zero_s
            self.picture_end_s = max(self.picture_end_s, end_s)


class _Run:
    """Sound without a break: one form, one resampler, one start time."""

    def __init__(self, frame: av.AudioFrame, start_s: float) -> None:
        self._form = _form(frame)
        self._mix = Downmix(frame)
        self._start_s = start_s
        self._rate_hz = frame.sample_rate
        self._taken = 0  # input samples so far
        self._next = round(start_s * RATE_HZ)  # output sample
        self._waiting: list[np.ndarray] = []
        self._waiting_samples = 0
        self._resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE_HZ)

    def continued_by(self, frame: av.AudioFrame, start_s: float | None) -> bool:
        expected_s = self._start_s + self._taken / self._rate_hz
        steady = start_s is None or abs(start_s - expected_s) <= JITTER_S
        return steady and _form(frame) == self._form

    def push(self, frame: av.AudioFrame) -> Iterator[Piece]:
        """Take a frame; gives pieces when enough has come together to be worth mixing and resampling."""
        self._waiting.append(frame.to_ndarray())
        self._waiting_samples += frame.samples
        self._taken += frame.samples
        if self._waiting_samples >= BATCH_S * self._rate_hz:
            yield from self._resample(self._mixed())

    def finish(self) -> Iterator[Piece]:
        """Give what is left, in the resampler too."""
        if self._waiting:
            yield from self._resample(self._mixed())
        yield from self._resample(None)

    def _mixed(self) -> av.AudioFrame:
        """A mono frame without a timestamp: places are counted here, not by the resampler."""
        mono = av.AudioFrame.from_ndarray(self._mix(self._waiting)[None], format="flt", layout="mono")
        mono.sample_rate = self._rate_hz
        self._waiting, self._waiting_samples = [], 0
        return mono

    def _resample(self, mono: av.AudioFrame | None) -> Iterator[Piece]:
        for output in self._resampler.resample(mono):
            samples = output.to_ndarray().reshape(-1)
            yield Piece(self._next, samples).after(0)
            self._next += len(samples)


def _form(frame: av.AudioFrame) -> tuple:
    return frame.sample_rate, frame.format.name, frame.layout.name
