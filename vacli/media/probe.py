"""Facts about a media file, from its header and first frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer

from vacli.errors import InputError
from vacli.files.object_path import to_path
from vacli.media.container import (
    audio_stream,
    clock_zero_s,
    decode_packet,
    demux_packets,
    open_container,
    strict_decoder,
    tick_of,
    to_seconds,
    unused_stream_notes,
    video_stream,
)
from vacli.media.orientation import Orientation, read_orientation


@dataclass(frozen=True)
class VideoStream:
    """A video stream. Sizes are those of the shown frames: upright, with square pixels."""

    codec: str
    width_px: int
    height_px: int
    orientation: Orientation  # of the stored frames
    pixel_aspect: float  # width over height of a stored pixel
    pixel_format: str
    start_s: float  # when the first frame that decodes is shown
    nominal_hz: float  # of the header; true times are in VideoReader.times_s

    @property
    def rotation_deg(self) -> int:
        """Return the counter-clockwise rotation that makes the stored picture upright."""
        return self.orientation.rotation_deg


@dataclass(frozen=True)
class AudioStream:
    """An audio stream."""

    codec: str
    rate_hz: int
    channels: int
    start_s: float
    duration_s: float  # NaN if the header has none


@dataclass(frozen=True)
class MediaInfo:
    """A media file. Its times are on the clock of `container.clock_zero_s`."""

    path: Path
    size_bytes: int
    container: str
    duration_s: float  # NaN if the header has none
    video: VideoStream | None
    audio: AudioStream | None
    notes: tuple[str, ...] = ()  # a sentence for each stream that is not used


def probe(path: Path) -> MediaInfo:
    """Read the header, and one frame for the orientation of the pictures.

    Raises InputError if the file cannot be read, has neither video nor audio, or shows no frame.
    """
    path = to_path(path)
    with open_container(path) as container:
        info = MediaInfo(
            path=path,
            size_bytes=path.stat().st_size,
            container=container.format.name,
            duration_s=_seconds(container.duration, 1 / av.time_base),
            video=_video(container, path),
            audio=_audio(container),
            notes=unused_stream_notes(container),
        )
    if info.video is None and info.audio is None:
        why = f" that can be used: {info.notes[0]}" if info.notes else ""
        raise InputError(f"{path}: has neither a video nor an audio stream{why}")
    return info


def required_video(info: MediaInfo) -> VideoStream:
    """Return the video stream of a file. Raises InputError if it has none."""
    if info.video is None:
        why = f" that can be used: {info.notes[0]}" if info.notes else ""
        raise InputError(f"{info.path}: has no video stream{why}")
    return info.video


def _video(container: InputContainer, path: Path) -> VideoStream | None:
    stream = video_stream(container)
    if stream is None:
        return None
    frame = _first_frame(container, stream, path)
    orientation = read_orientation(frame)
    zero_s = clock_zero_s(container)
    pixel_aspect = read_pixel_aspect(stream)
    width_px, height_px = orientation.size(round(frame.width * pixel_aspect), frame.height)
    return VideoStream(
        codec=stream.codec_context.name,
        width_px=width_px,
        height_px=height_px,
        orientation=orientation,
        pixel_aspect=pixel_aspect,
        pixel_format=frame.format.name,
        start_s=0.0 if frame.pts is None else to_seconds(frame.pts, tick_of(stream), zero_s),
        nominal_hz=float(stream.average_rate or stream.guessed_rate or float("nan")),
    )


def read_pixel_aspect(stream: av.VideoStream) -> float:
    """Return the sample aspect ratio; 1 if it is missing or implausible."""
    aspect = float(stream.sample_aspect_ratio or 1)
    return aspect if 0.25 <= aspect <= 4 else 1.0


def _first_frame(container: InputContainer, stream: av.VideoStream, path: Path) -> av.VideoFrame:
    """Return the first frame that decodes; the reader reports the errors before it."""
    errors: list[str] = []
    for packet in demux_packets(container, [strict_decoder(stream)], errors):
        for frame in decode_packet(packet, errors):
            return frame
    cause = errors[0] if errors else "it has no picture"
    raise InputError(f"{path}: no frame of its {stream.codec_context.name} stream can be decoded ({cause})")


def _audio(container: InputContainer) -> AudioStream | None:
    stream = audio_stream(container)
    if stream is None:
        return None
    return AudioStream(
        codec=stream.codec_context.name,
        rate_hz=stream.rate or 0,
        channels=stream.channels,
        start_s=_start_s(container, stream),
        duration_s=_seconds(stream.duration, float(stream.time_base or 1)),
    )


def _start_s(container: InputContainer, stream: av.AudioStream) -> float:
    return _seconds(stream.start_time or 0, float(stream.time_base or 1)) - clock_zero_s(container)


def _seconds(ticks: int | None, tick_s: float) -> float:
    return float("nan") if ticks is None else ticks * tick_s
