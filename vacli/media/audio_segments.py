"""Decoded audio as segments of mono 16 kHz samples, each at the position of its timestamp."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.container import InputContainer

from vacli.media.container import (
    DECODER_ERRORS,
    clock_zero_s,
    decode_packet,
    demux_packets,
    error_text,
    make_joined_clock,
)
from vacli.media.downmix import Downmix
from vacli.media.polarity import PolarityDetector, Signs
from vacli.media.sample_check import SampleCheck

RATE_HZ = 16_000
# Some containers round timestamps to milliseconds; a larger difference is a real jump.
JITTER_S = 0.005
MIN_GAP_S = 0.020  # a shorter gap is filled with zeros and counts as present
GAPLESS_FORMATS = {"flac", "ogg"}
BATCH_S = 0.5  # the length that is mixed and resampled at once
# Telephones sample at 8,000 Hz, DSD512 is decoded to 2.8 MHz; a header with a rate outside is damaged.
MIN_RATE_HZ, MAX_RATE_HZ = 1_000, 3_000_000

# Their frames carry a checksum; by default FFmpeg uses frames that fail it.
CHECKSUM_CODECS = {"flac", "tta", "wavpack", "ac3", "eac3"}

Mix = Callable[[Downmix, np.ndarray, float], np.ndarray]  # samples (channels, S), length_s -> (S,) mono


@dataclass(frozen=True)
class AudioSegment:
    """Consecutive samples (S,) float32; the first one is sample `first` of the clock."""

    first: int
    samples: np.ndarray

    @property
    def end(self) -> int:
        """Return the sample after the last one."""
        return self.first + len(self.samples)

    def from_sample(self, sample: int) -> AudioSegment:
        """Return the part at or after a sample of the clock."""
        late = max(sample - self.first, 0)
        return AudioSegment(self.first + late, self.samples[late:])


class AudioSegments:
    """Iterates over the segments of one stream: ascending, without overlap, none before time 0.

    Decoding continues after an error. `signs`: for each batch, the channels to invert. Afterwards,
    `decode_error` is the first error, `video_end_s` the end of the video stream, if one was given, `notes`
    are about samples that no sound has, which become zeros, and about discontinuities, if there is no video
    stream to report them. `polarity` has the correlation of the channels of every batch.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: av.AudioStream,
        picture: av.VideoStream | None,
        signs: Sequence[Signs] = (),
    ) -> None:
        self._errors: list[str] = []
        self.video_end_s = 0.0
        self.polarity = PolarityDetector()
        self._check = SampleCheck()
        self._signs = iter(signs)
        self._container, self._stream, self._picture = container, stream, picture
        self._zero_s = clock_zero_s(container)
        self._clock = make_joined_clock(container)

    @property
    def decode_error(self) -> str | None:
        """Return the first error, or None."""
        return self._errors[0] if self._errors else None

    @property
    def notes(self) -> tuple[str, ...]:
        """Return sentences about the samples and the clock."""
        clock_notes = () if self._picture else self._clock.notes(self._zero_s)
        return (*self._check.notes, *clock_notes)

    def __iter__(self) -> Iterator[AudioSegment]:
        end = 0
        for segment in self._resampled():
            segment = segment.from_sample(end)
            end = max(end, segment.end)
            if len(segment.samples):
                yield segment

    def _resampled(self) -> Iterator[AudioSegment]:
        """Yield resampled segments; timestamp jumps and changes of the format start a new resampler."""
        run: AudioRun | None = None
        end_s = 0.0
        for frame in self._decoded():
            start_s = None if frame.time is None else frame.time - self._zero_s
            try:
                if frame.is_corrupt:
                    raise ValueError("it is damaged")
                if run is None or not run.continued_by(frame, start_s):
                    self._check_gap(run, start_s)
                    yield from run.finish() if run else ()
                    run = AudioRun(frame, end_s if start_s is None else start_s, self._mix)
                yield from run.push(frame)
                end_s = run.end_s
            except DECODER_ERRORS as problem:
                self._add_error(start_s, problem)
                yield from self._finish(run)
                run = None
        yield from self._finish(run)

    def _finish(self, run: AudioRun | None) -> Iterator[AudioSegment]:
        try:
            yield from run.finish() if run else ()
        except DECODER_ERRORS as problem:
            self._add_error(None, problem)

    def _check_gap(self, run: AudioRun | None, start_s: float | None) -> None:
        """Report a gap in a gapless format: a lost frame, which the decoder does not report."""
        if run is None or start_s is None or self._container.format.name not in GAPLESS_FORMATS:
            return
        if start_s - run.end_s > MIN_GAP_S:
            self._add_error(run.end_s, ValueError("a part of it is missing"))

    def _mix(self, downmix: Downmix, samples: np.ndarray, length_s: float) -> np.ndarray:
        samples = self._check.usable(samples)  # before the mix, in which one would spoil all channels
        self.polarity.add(samples, downmix.weights, length_s)
        return downmix.mono(samples, next(self._signs, None))

    def _add_error(self, start_s: float | None, problem: Exception) -> None:
        if not self._errors:  # the first of a thousand equal errors is enough
            near = "" if start_s is None else f" near {start_s:.3f} s"
            self._errors.append(f"the sound{near} cannot be used ({error_text(problem)})")

    def _decoded(self) -> Iterator[av.AudioFrame]:
        streams = [_with_checksums(self._stream), *([self._picture] if self._picture else [])]
        for packet in demux_packets(self._container, streams, self._errors, self._clock):
            if packet.stream is self._stream:
                yield from decode_packet(packet, self._errors)
            else:
                self._extend_video(packet)

    def _extend_video(self, packet: av.Packet[Any]) -> None:
        ticks = packet.pts if packet.pts is not None else packet.dts
        if ticks is not None and not packet.is_discard:
            end_s = float((ticks + (packet.duration or 0)) * packet.time_base) - self._zero_s
            self.video_end_s = max(self.video_end_s, end_s)


class AudioRun:
    """Continuous audio: one format, one resampler, one start time.

    batch_s: the length that is mixed and resampled at once. Raises one of DECODER_ERRORS if the format cannot
    be converted.
    """

    def __init__(self, frame: av.AudioFrame, start_s: float, mix: Mix, batch_s: float = BATCH_S) -> None:
        if not MIN_RATE_HZ <= frame.sample_rate <= MAX_RATE_HZ:
            raise ValueError(f"{frame.sample_rate} Hz is no sample rate of sound")
        self._format = _format(frame)
        self._downmix, self._mix = Downmix(frame), mix
        self._batch_s = batch_s
        self._start_s = start_s
        self._rate_hz = frame.sample_rate
        self._count = 0  # input samples so far
        self._next = round(start_s * RATE_HZ)  # output sample
        self._waiting: list[np.ndarray] = []
        self._waiting_samples = 0
        self._resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE_HZ)

    @property
    def end_s(self) -> float:
        """Return the end of the frames so far."""
        return self._start_s + self._count / self._rate_hz

    def continued_by(
        self, frame: av.AudioFrame, start_s: float | None, tolerance_s: float = JITTER_S
    ) -> bool:
        """Return whether a frame has the same format and starts at the end of the frames so far."""
        is_next = start_s is None or abs(start_s - self.end_s) <= tolerance_s
        return is_next and _format(frame) == self._format

    def delay(self, samples: int) -> None:
        """Move all later output by a number of samples of it, which is negative for an earlier time."""
        self._next += samples
        self._start_s += samples / RATE_HZ

    def push(self, frame: av.AudioFrame) -> Iterator[AudioSegment]:
        """Add a frame; yield segments when a batch is complete."""
        self._waiting += self._downmix.arrays(frame)
        self._waiting_samples += frame.samples
        self._count += frame.samples
        if self._waiting_samples >= self._batch_s * self._rate_hz:
            yield from self._resample(self._mixed())

    def finish(self) -> Iterator[AudioSegment]:
        """Yield the rest, including the samples in the resampler."""
        if self._waiting:
            yield from self._resample(self._mixed())
        yield from self._resample(None)

    def _mixed(self) -> av.AudioFrame:
        """Return a mono frame without a timestamp: positions are counted here, not by the resampler."""
        samples = self._downmix.channels(self._waiting)
        mixed = self._mix(self._downmix, samples, samples.shape[1] / self._rate_hz)
        mono = av.AudioFrame.from_ndarray(mixed[None], format="flt", layout="mono")
        mono.sample_rate = self._rate_hz
        self._waiting, self._waiting_samples = [], 0
        return mono

    def _resample(self, mono: av.AudioFrame | None) -> Iterator[AudioSegment]:
        for output in self._resampler.resample(mono):
            samples = output.to_ndarray().reshape(-1)
            yield AudioSegment(self._next, samples).from_sample(0)
            self._next += len(samples)


def _format(frame: av.AudioFrame) -> tuple[int, str, str]:
    return frame.sample_rate, frame.format.name, frame.layout.name


def _with_checksums(stream: av.AudioStream) -> av.AudioStream:
    """Make the decoder of a stream, before it is opened, drop frames that fail their checksum."""
    if stream.codec_context.name in CHECKSUM_CODECS:
        stream.codec_context.options = {"err_detect": "crccheck+explode"}
    return stream
