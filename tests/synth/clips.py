"""Generated media files: a picture that flashes and audio that clicks at the same times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

CLICK_SIGMA_S = 0.001  # the click is a 2 kHz tone under a Gaussian, so its peak survives lossy coding
BLOCK_SAMPLES = 1024


@dataclass(frozen=True)
class Clip:
    """The content of a file. Times are on the clock of the container.

    events: rows of `times_s` with a white picture and a click at the same time.
    sound_spans: spans with audio packets; there are none between them.
    picture: row -> (H, W, 3) uint8, in place of the flashes. sound: times (N,) in seconds -> samples (N,), in
    place of the clicks.
    """

    times_s: tuple[float, ...] = ()
    events: tuple[int, ...] = ()
    size_px: tuple[int, int] = (64, 48)
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    sound_spans: tuple[tuple[float, float], ...] = ()
    sound_codec: str = "aac"
    sound_rate_hz: int = 48_000
    layout: str = "mono"
    rotation_deg: int = 0
    tick_s: Fraction = Fraction(1, 90_000)  # some old codecs support 1/25 and similar only
    options: dict[str, str] = field(default_factory=dict)  # of the picture's encoder
    muxer: dict[str, str] = field(default_factory=dict)  # of the container
    picture: Callable[[int], np.ndarray] | None = None
    sound: Callable[[np.ndarray], np.ndarray] | None = None


def steady(rate_hz: Fraction | float, seconds: float, start_s: float = 0.0) -> tuple[float, ...]:
    """Return frame times at a fixed rate."""
    rate = Fraction(rate_hz).limit_denominator(100_000)
    return tuple(start_s + float(i / rate) for i in range(round(seconds * rate)))


def uneven(seconds: float, start_s: float = 0.0, seed: int = 0) -> tuple[float, ...]:
    """Return frame times with random steps between 15 and 70 ms."""
    steps_s = np.random.default_rng(seed).integers(15, 70, size=round(seconds * 23)) / 1000
    return tuple(float(t) for t in start_s + np.concatenate([[0.0], np.cumsum(steps_s)[:-1]]))


def one_thread(stream: av.VideoStream) -> None:
    """Encode VP8 and VP9 without threads, because those of libvpx sometimes deadlock."""
    if stream.codec_context.name.startswith("libvpx"):
        stream.codec_context.thread_count = 1


def write_clip(path: Path, clip: Clip) -> Path:
    """Write a clip; the file's suffix chooses the container."""
    with av.open(str(path), "w", options=clip.muxer) as container:
        picture = _picture_stream(container, clip) if clip.times_s else None
        sound = _sound_stream(container, clip) if clip.sound_spans else None
        frames = [(frame.pts * frame.time_base, picture, frame) for frame in _frames(clip)] if picture else []
        blocks = [(frame.pts * frame.time_base, sound, frame) for frame in _blocks(clip)] if sound else []
        for _, stream, frame in sorted(frames + blocks, key=lambda item: item[0]):
            container.mux(stream.encode(frame))
        for stream in filter(None, (picture, sound)):
            container.mux(stream.encode(None))
    return path


def picture_of(clip: Clip, row: int) -> np.ndarray:
    """Return the picture of a row, (H, W, 3) uint8: white at an event, else a ramp with a moving mark."""
    width, height = clip.size_px
    rgb = np.empty((height, width, 3), dtype=np.uint8)
    rgb[:] = np.linspace(20, 90, width, dtype=np.uint8)[None, :, None]
    at = row * 4 % (width - 8)
    rgb[: height // 4, at : at + 8] = (200, 60, 30)
    if row in clip.events:
        rgb[:] = 255
    return rgb


def sound_of(clip: Clip, first: int, count: int) -> np.ndarray:
    """Return the samples of the clicks at the rate of the clip, (count,) float32."""
    times_s = (first + np.arange(count)) / clip.sound_rate_hz
    signal = np.zeros(count)
    for row in clip.events:
        from_click_s = times_s - clip.times_s[row]
        signal += np.cos(2e3 * 2 * np.pi * from_click_s) * np.exp(-0.5 * (from_click_s / CLICK_SIGMA_S) ** 2)
    return (0.9 * signal).astype(np.float32)


def _picture_stream(container: av.container.OutputContainer, clip: Clip) -> av.VideoStream:
    stream = container.add_stream(clip.codec, rate=30, options=clip.options)
    one_thread(stream)
    stream.width, stream.height = clip.size_px
    stream.pix_fmt = clip.pixel_format
    stream.codec_context.time_base = clip.tick_s
    stream.time_base = clip.tick_s
    if clip.rotation_deg:
        stream.set_display_rotation(clip.rotation_deg)
    return stream


def _frames(clip: Clip) -> Iterator[av.VideoFrame]:
    for row, time_s in enumerate(clip.times_s):
        picture = clip.picture(row) if clip.picture else picture_of(clip, row)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = round(time_s / clip.tick_s), clip.tick_s
        yield frame


def _sound_stream(container: av.container.OutputContainer, clip: Clip) -> av.AudioStream:
    return container.add_stream(clip.sound_codec, rate=clip.sound_rate_hz, layout=clip.layout)


def _samples(clip: Clip, first: int, count: int) -> np.ndarray:
    if clip.sound is None:
        return sound_of(clip, first, count)
    return clip.sound((first + np.arange(count)) / clip.sound_rate_hz).astype(np.float32)


def _blocks(clip: Clip) -> Iterator[av.AudioFrame]:
    channels = len(av.AudioLayout(clip.layout).channels)
    for start_s, end_s in clip.sound_spans:
        first, end = round(start_s * clip.sound_rate_hz), round(end_s * clip.sound_rate_hz)
        for at in range(first, end, BLOCK_SAMPLES):
            mono = _samples(clip, at, min(BLOCK_SAMPLES, end - at))
            planes = np.repeat(mono[None], channels, axis=0)
            frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=clip.layout)
            frame.sample_rate = clip.sound_rate_hz
            frame.pts, frame.time_base = at, Fraction(1, clip.sound_rate_hz)
            yield frame


def repeated(source: Path, path: Path, times: int) -> Path:
    """The packets of a file of one minute, `times` times one after the other."""
    with av.open(str(path), "w") as container:
        streams = None
        for run in range(times):
            with av.open(str(source)) as given:
                streams = streams or [container.add_stream_from_template(s) for s in given.streams]
                for packet in given.demux():
                    if packet.size:
                        packet.pts = packet.dts = packet.pts + round(60 * run / packet.time_base)
                        packet.stream = streams[packet.stream.index]
                        container.mux(packet)
    return path
