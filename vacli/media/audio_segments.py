"""Decoded sound as runs of mono 16 kHz samples, each at the place that the container gives it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import av
import numpy as np
from av.container import InputContainer

from vacli.media.container import FAULTS, clock_zero_s, decoded, joined_clock, packets_of, reason
from vacli.media.downmix import Downmix
from vacli.media.polarity import PhaseLog, Signs

RATE_HZ = 16_000
# Containers that count milliseconds round each timestamp; what differs by more than this is a real jump.
JITTER_S = 0.005
SHORTEST_HOLE_S = 0.020  # shorter ones are bridged with zeros and still count as sound
WITHOUT_HOLES = {"flac", "ogg"}
BATCH_S = 0.5  # sound that is mixed and resampled in one go
# What a header says outside of this is no sound: telephones sample at 8,000 Hz, DSD512 comes as 2.8 MHz.
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 1_000, 3_000_000

# Their frames carry a checksum that encoders get right; FFmpeg uses what fails it unless it is asked not to.
WITH_CHECKSUM = {"flac", "tta", "wavpack", "ac3", "eac3"}

Mix = Callable[[Downmix, np.ndarray, float], np.ndarray]  # samples (channels, S), length_s -> (S,) mono


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

    Reading goes on after a packet that does not decode; `broken` then says where that was, `picture_end_s`
    where the other stream in the container ended, if one was given, `notes` where the clock started anew and
    there is no other stream to say so, and `phases` what the channels of every batch have in common. `signs`
    are those of batches in which channels are to be inverted.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: av.AudioStream,
        picture: av.VideoStream | None,
        signs: Sequence[Signs] = (),
    ) -> None:
        self._lost: list[str] = []
        self.picture_end_s = 0.0
        self.phases = PhaseLog()
        self._signs = iter(signs)
        self._container, self._stream, self._picture = container, stream, picture
        self._zero_s = clock_zero_s(container)
        self._clock = joined_clock(container)

    @property
    def broken(self) -> str | None:
        """What went wrong first."""
        return self._lost[0] if self._lost else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of the clock."""
        return () if self._picture else self._clock.notes(self._zero_s)

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
        end_s = 0.0
        for frame in self._decoded():
            start_s = None if frame.time is None else frame.time - self._zero_s
            try:
                if frame.is_corrupt:
                    raise ValueError("it is damaged")
                if run is None or not run.continued_by(frame, start_s):
                    self._note_hole(run, start_s)
                    yield from run.finish() if run else ()
                    run = _Run(frame, end_s if start_s is None else start_s, self._mix)
                yield from run.push(frame)
                end_s = run.end_s
            except FAULTS as problem:
                self._lose(start_s, problem)
                yield from self._finished(run)
                run = None
        yield from self._finished(run)

    def _finished(self, run: _Run | None) -> Iterator[Piece]:
        try:
            yield from run.finish() if run else ()
        except FAULTS as problem:
            self._lose(None, problem)

    def _note_hole(self, run: _Run | None, start_s: float | None) -> None:
        """A hole in a format that has none is a frame that was lost; the decoder does not say so."""
        if run is None or start_s is None or self._container.format.name not in WITHOUT_HOLES:
            return
        if start_s - run.end_s > SHORTEST_HOLE_S:
            self._lose(run.end_s, ValueError("a piece of it is missing"))

    def _mix(self, downmix: Downmix, samples: np.ndarray, length_s: float) -> np.ndarray:
        self.phases.add(samples, downmix.weights, length_s)
        return downmix.mono(samples, next(self._signs, None))

    def _lose(self, start_s: float | None, problem: Exception) -> None:
        if not self._lost:  # one of a thousand frames that are all alike says enough
            near = "" if start_s is None else f" near {start_s:.3f} s"
            self._lost.append(f"the sound{near} cannot be used ({reason(problem)})")

    def _decoded(self) -> Iterator[av.AudioFrame]:
        streams = [_checked(self._stream)] + ([self._picture] if self._picture else [])
        for packet in packets_of(self._container, streams, self._lost, self._clock):
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
    """Sound without a break: one form, one resampler, one start time. Raises one of FAULTS where the form
    is none that can be converted."""

    def __init__(self, frame: av.AudioFrame, start_s: float, mix: Mix) -> None:
        if not LOWEST_RATE_HZ <= frame.sample_rate <= HIGHEST_RATE_HZ:
            raise ValueError(f"{frame.sample_rate} Hz is no sample rate of sound")
        self._form = _form(frame)
        self._downmix, self._mix = Downmix(frame), mix
        self._start_s = start_s
        self._rate_hz = frame.sample_rate
        self._taken = 0  # input samples so far
        self._next = round(start_s * RATE_HZ)  # output sample
        self._waiting: list[np.ndarray] = []
        self._waiting_samples = 0
        self._resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE_HZ)

    @property
    def end_s(self) -> float:
        """When what it has taken ends."""
        return self._start_s + self._taken / self._rate_hz

    def continued_by(self, frame: av.AudioFrame, start_s: float | None) -> bool:
        steady = start_s is None or abs(start_s - self.end_s) <= JITTER_S
        return steady and _form(frame) == self._form

    def push(self, frame: av.AudioFrame) -> Iterator[Piece]:
        """Take a frame; gives pieces when enough has come together to be worth mixing and resampling."""
        self._waiting += self._downmix.arrays(frame)
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
        samples = self._downmix.channels(self._waiting)
        mixed = self._mix(self._downmix, samples, samples.shape[1] / self._rate_hz)
        mono = av.AudioFrame.from_ndarray(mixed[None], format="flt", layout="mono")
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


def _checked(stream: av.AudioStream) -> av.AudioStream:
    """A stream whose decoder gives nothing of a frame that fails its checksum, before it is opened."""
    if stream.codec_context.name in WITH_CHECKSUM:
        stream.codec_context.options = {"err_detect": "crccheck+explode"}
    return stream
