"""Generated audio files with any number of channels and tracks, and with gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition

BLOCK = 1024


@dataclass(frozen=True)
class SoundTrack:
    """One audio stream. parts: (start_s, samples (channels, S)), ascending, without packets between them."""

    parts: Sequence[tuple[float, np.ndarray]]
    codec: str = "pcm_s16le"
    layout: str = "mono"
    rate_hz: int = 16_000
    is_default: bool = False
    tags: dict[str, str] = field(default_factory=dict)


def frame_of(samples: np.ndarray, rate_hz: int, layout: str, form: str = "flt") -> av.AudioFrame:
    """Return a frame of any sample format and number of channels. samples: (channels, S) floats."""
    packed = np.ascontiguousarray(samples.T, np.float32).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(packed, "flt", layout)
    frame.sample_rate = rate_hz
    (made,) = av.AudioResampler(format=form, layout=frame.layout, rate=rate_hz).resample(frame)
    return made


def write_tracks(path: Path, *tracks: SoundTrack) -> Path:
    """Write audio streams into a file whose suffix chooses the container."""
    with av.open(str(path), "w") as container:
        streams = [container.add_stream(t.codec, rate=t.rate_hz, layout=t.layout) for t in tracks]
        for stream, track in zip(streams, tracks, strict=True):
            stream.disposition = Disposition.default if track.is_default else Disposition(0)
            stream.metadata.update(track.tags)
        frames = [
            (frame.pts / track.rate_hz, number, frame)
            for number, (stream, track) in enumerate(zip(streams, tracks, strict=True))
            for frame in _frames(track, stream.codec_context)
        ]
        for _, number, frame in sorted(frames, key=lambda entry: entry[:2]):
            container.mux(streams[number].encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


def write_sound(path: Path, samples: np.ndarray, layout: str = "mono", **track) -> Path:
    """Write a file with samples, (channels, S) or (S,)."""
    return write_tracks(path, SoundTrack(((0.0, np.atleast_2d(samples)),), layout=layout, **track))


def _frames(track: SoundTrack, codec: av.AudioCodecContext) -> list[av.AudioFrame]:
    size = codec.frame_size or BLOCK
    frames = []
    for start_s, samples in track.parts:
        first = round(start_s * track.rate_hz)
        for at in range(0, samples.shape[1], size):
            frame = frame_of(samples[:, at : at + size], track.rate_hz, track.layout, codec.format.name)
            frame.pts, frame.time_base = first + at, Fraction(1, track.rate_hz)
            frames.append(frame)
    return frames
