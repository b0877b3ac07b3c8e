"""The sound of a file as packets for another container: copied, or encoded as AAC.

Times are kept: the zero of the output is that of `container.clock_zero_s`. A gap of the sound stays, as
missing packets if it is copied, as silence if it is encoded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.container import InputContainer, OutputContainer

from vacli.media.audio_tracks import select_audio_track
from vacli.media.container import clock_zero_s, decode_packet, demux_packets, open_container, tick_of
from vacli.media.sample_check import usable_samples

# Codecs that common players play from a container.
COPIED_CODECS = {
    "mp4": {"aac", "mp3", "ac3", "eac3", "opus", "flac", "alac"},
    "mov": {"aac", "mp3", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s24le"},
    "matroska": {"aac", "mp2", "mp3", "ac3", "eac3", "opus", "flac", "alac", "vorbis", "pcm_s16le"},
}
AAC_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
DEFAULT_RATE_HZ = 48_000
BITS_PER_CHANNEL = 96_000  # a second
MAX_DRIFT_S = 0.02  # a larger difference between timestamps and samples is a gap or an overlap


@dataclass(frozen=True)
class Sound:
    """An audio stream of an opened container. errors: gets the damage that is found while it is read."""

    container: InputContainer
    stream: av.AudioStream
    errors: list[str]

    @property
    def codec(self) -> str:
        """The codec, not one of its decoders."""
        return self.stream.codec_context.codec.canonical_name


@contextmanager
def open_sound(path: Path, audio_track: int | None) -> Iterator[Sound | None]:
    """One sound of a file, None where it has none. audio_track: from 1, None for the default one."""
    track = select_audio_track(path, audio_track)
    if track is None:
        yield None
        return
    with open_container(path) as container:
        yield Sound(container, cast(av.AudioStream, container.streams[track.stream_index]), [])


def sound_packets(sound: Sound, out: OutputContainer) -> tuple[Iterator[av.Packet[Any]], bool]:
    """Add an audio stream to `out`. Return its packets, in order, and whether they are copies."""
    if sound.codec in COPIED_CODECS.get(out.format.name, ()):
        with suppress(ValueError):  # this FFmpeg does not write the codec to the container
            return _copied_packets(sound, out.add_stream_from_template(sound.stream), out), True
    return _encoded_packets(sound, out), False


def _copied_packets(sound: Sound, copied: av.AudioStream, out: OutputContainer) -> Iterator[av.Packet[Any]]:
    """The packets with their times; those before 0, which start a decoder, only where the container has them.

    For a negative time FFmpeg would move the whole Matroska file, unless it is the delay of Opus.
    """
    zero = round(clock_zero_s(sound.container) / tick_of(sound.stream))
    last = -1 if out.format.name == "matroska" and sound.codec != "opus" else None
    for packet in demux_packets(sound.container, [], sound.errors):
        if packet.stream.index != sound.stream.index or not packet.size or packet.pts is None:
            continue
        pts = packet.pts - zero
        if last is not None and pts <= last:
            continue  # muxers refuse times that do not ascend
        last = packet.pts = packet.dts = pts
        packet.stream = copied
        yield packet


def _encoded_packets(sound: Sound, out: OutputContainer) -> Iterator[av.Packet[Any]]:
    rate_hz = sound.stream.rate if sound.stream.rate in AAC_RATES_HZ else DEFAULT_RATE_HZ
    layout = "mono" if sound.stream.channels == 1 else "stereo"
    encoder = out.add_stream("aac", rate=rate_hz, layout=layout)
    encoder.bit_rate = BITS_PER_CHANNEL * (1 if layout == "mono" else 2)

    def packets() -> Iterator[av.Packet[Any]]:
        for frame in _gapless(_resampled(sound, layout, rate_hz), layout, rate_hz):
            yield from encoder.encode(frame)
        yield from encoder.encode(None)

    return packets()


def _resampled(sound: Sound, layout: str, rate_hz: int) -> Iterator[tuple[float, np.ndarray]]:
    """Start in seconds and samples (channels, S) float32 of each decoded frame."""
    resampler = av.AudioResampler("fltp", layout, rate_hz)
    zero_s = clock_zero_s(sound.container)
    end_s = 0.0
    for packet in demux_packets(sound.container, [], sound.errors):
        if packet.stream.index != sound.stream.index:
            continue
        for frame in decode_packet(packet, sound.errors):
            for made in resampler.resample(frame):
                start_s = end_s
                if made.pts is not None and made.time_base is not None:
                    start_s = float(made.pts * made.time_base) - zero_s
                samples, _ = usable_samples(made.to_ndarray())  # AAC encoders refuse NaN
                end_s = start_s + samples.shape[1] / rate_hz
                yield start_s, samples
    for made in resampler.resample(None):
        yield end_s, usable_samples(made.to_ndarray())[0]


def _gapless(parts: Iterator[tuple[float, np.ndarray]], layout: str, rate_hz: int) -> Iterator[av.AudioFrame]:
    """Frames that follow each other from the first one at or after time 0; gaps are filled with silence."""
    end: int | None = None
    for start_s, samples in parts:
        start = round(start_s * rate_hz)
        if end is None:
            end = max(start, 0)
        if abs(start - end) <= MAX_DRIFT_S * rate_hz and start >= 0:
            start = end
        if start > end:
            yield _frame(np.zeros((len(samples), start - end), np.float32), end, layout, rate_hz)
            end = start
        kept = samples[:, end - start :]
        if kept.shape[1]:
            yield _frame(kept, end, layout, rate_hz)
            end += kept.shape[1]


def _frame(samples: np.ndarray, start: int, layout: str, rate_hz: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", layout)
    frame.sample_rate, frame.pts, frame.time_base = rate_hz, start, Fraction(1, rate_hz)
    return frame
