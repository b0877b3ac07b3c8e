"""What a container says about itself, without reading it whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer

from vacli.errors import InputError
from vacli.media.container import (
    careful,
    clock_zero_s,
    decoded,
    opened,
    packets_of,
    passed_over,
    picture_stream,
    shown_at_s,
    sound_stream,
)
from vacli.media.orientation import Turn, turn_of


@dataclass(frozen=True)
class VideoStream:
    """A picture stream. Sizes are those of the frames as they are shown: upright, with square pixels."""

    codec: str
    width_px: int
    height_px: int
    turn: Turn  # what makes a stored frame upright
    pixel_aspect: float  # width over height of a stored pixel
    pixel_format: str
    start_s: float  # when the first frame that decodes is shown
    nominal_hz: float  # what the header claims; true times are in VideoReader.times_s

    @property
    def rotation_deg(self) -> int:
        """Counter-clockwise turn that makes the stored picture upright."""
        return self.turn.rotation_deg


@dataclass(frozen=True)
class AudioStream:
    """A sound stream."""

    codec: str
    rate_hz: int
    channels: int
    start_s: float
    duration_s: float  # NaN where the header does not say


@dataclass(frozen=True)
class MediaInfo:
    """A media file. Its times are on the clock that `container.clock_zero_s` starts."""

    path: Path
    size_bytes: int
    container: str
    duration_s: float  # NaN where the header does not say
    video: VideoStream | None
    audio: AudioStream | None
    notes: tuple[str, ...] = ()  # streams that are passed over, a sentence each


def probe(path: Path) -> MediaInfo:
    """Read the header, and one frame for the picture's orientation.

    Raises InputError if the file cannot be read, holds neither picture nor sound, or shows no frame.
    """
    path = Path(path)
    with opened(path) as container:
        info = MediaInfo(
            path=path,
            size_bytes=path.stat().st_size,
            container=container.format.name,
            duration_s=_seconds(container.duration, 1 / av.time_base),
            video=_video(container, path),
            audio=_audio(container),
            notes=passed_over(container),
        )
    if info.video is None and info.audio is None:
        why = f" that can be used: {info.notes[0]}" if info.notes else ""
        raise InputError(f"{path}: has neither a picture nor a sound stream{why}")
    return info


def _video(container: InputContainer, path: Path) -> VideoStream | None:
    stream = picture_stream(container)
    if stream is None:
        return None
    frame = _first_frame(container, stream, path)
    turn = turn_of(frame)
    zero_s = clock_zero_s(container)
    pixel_aspect = _pixel_aspect(stream)
    width_px, height_px = turn.size(round(frame.width * pixel_aspect), frame.height)
    return VideoStream(
        codec=stream.codec_context.name,
        width_px=width_px,
        height_px=height_px,
        turn=turn,
        pixel_aspect=pixel_aspect,
        pixel_format=frame.format.name,
        start_s=0.0 if frame.pts is None else shown_at_s(frame.pts, stream.time_base, zero_s),
        nominal_hz=float(stream.average_rate or stream.guessed_rate or float("nan")),
    )


def _pixel_aspect(stream: av.VideoStream) -> float:
    """The sample aspect ratio; 1 where it is not given or cannot be meant."""
    aspect = float(stream.sample_aspect_ratio or 1)
    return aspect if 0.25 <= aspect <= 4 else 1.0


def _first_frame(container: InputContainer, stream: av.VideoStream, path: Path) -> av.VideoFrame:
    """The first frame that decodes; what was lost before it is left for the reader to tell."""
    lost: list[str] = []
    for packet in packets_of(container, [careful(stream)], lost):
        for frame in decoded(packet, lost):
            return frame
    cause = lost[0] if lost else "it holds no picture"
    raise InputError(f"{path}: no frame of its {stream.codec_context.name} stream can be decoded ({cause})")


def _audio(container: InputContainer) -> AudioStream | None:
    stream = sound_stream(container)
    if stream is None:
        return None
    return AudioStream(
        codec=stream.codec_context.name,
        rate_hz=stream.rate or 0,
        channels=stream.channels,
        start_s=_start_s(container, stream),
        duration_s=_seconds(stream.duration, float(stream.time_base or 1)),
    )


def _start_s(container: InputContainer, stream: av.stream.Stream) -> float:
    return _seconds(stream.start_time or 0, float(stream.time_base or 1)) - clock_zero_s(container)


def _seconds(ticks: int | None, tick_s: float) -> float:
    return float("nan") if ticks is None else ticks * tick_s
