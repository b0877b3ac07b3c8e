"""Containers opened with PyAV: selection of streams, zero of the clock, packets, decoding errors."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar, overload

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition, Stream

from vacli.errors import InputError
from vacli.files.object_path import to_path
from vacli.media.cover_art import is_cover_art
from vacli.media.joined_clock import JoinedClock

StreamT = TypeVar("StreamT", bound=Stream)


class PacketClock(Protocol):
    """Changes the timestamps of packets to one clock."""

    def rebase(self, packet: av.Packet[Any]) -> None:
        """Change the timestamps of the next packet."""
        ...


# These formats carry a running clock with an arbitrary zero, so their first timestamp becomes zero.
FORMATS_WITHOUT_ZERO = {"mpeg", "mpegts", "mp3", "aac"}
# A file with a later start was cut from a longer stream.
MAX_START_S = 60.0
# The delay of an encoder of sound at a low rate. A file with an earlier start lies before its own zero.
MAX_ENCODER_DELAY_S = 0.3

PROTOCOL = "file:"  # without it, FFmpeg takes the text before a colon in a file name as a protocol
MAX_PIXELS = 1 << 26  # twice an 8K picture; a header with more is damaged
# PyAV also raises these: on streams without a decoder, undecodable text, absurd sizes and numbers.
DECODER_ERRORS = (
    av.FFmpegError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    ArithmeticError,
    MemoryError,
)
# Tags are only shown, so their encoding does not matter. PyAV 19 accepts every encoding and has no such
# argument; containers of older versions have it as an attribute.
ANY_TEXT: dict[str, Any] = (
    {"metadata_errors": "replace"} if hasattr(InputContainer, "metadata_errors") else {}
)

REPAIR_HINT = "if a player shows it, `ffmpeg -i FILE -c copy fixed.mkv` repairs most containers"


@contextmanager
def open_container(path: Path) -> Iterator[InputContainer]:
    """Open a container.

    Raises InputError if the file is missing, empty, or not a media file that FFmpeg can read.
    """
    path = to_path(path)
    if not path.is_file():
        problem = "is a folder, not a media file" if path.is_dir() else "no such file"
        raise InputError(f"{path}: {problem}")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: is empty (0 bytes)", hint="copy or download it again")
    try:
        container = av.open(f"{PROTOCOL}{os.fspath(path)}", **ANY_TEXT)
    except (av.FFmpegError, OSError) as problem:
        raise InputError(
            f"{path}: cannot be read as audio or video ({error_text(problem)})", hint=REPAIR_HINT
        ) from None
    with container, _input_errors(path):
        yield container


@contextmanager
def _input_errors(path: Path) -> Iterator[None]:
    """Convert errors of PyAV, and a picture that is too large for the memory, to an InputError."""
    try:
        yield
    except DECODER_ERRORS as problem:
        cause = f"{type(problem).__name__}: {error_text(problem)}"
        raise InputError(f"{path}: cannot be read ({cause})", hint=REPAIR_HINT) from problem


def error_text(problem: BaseException) -> str:
    """Return the message of FFmpeg, without the path that PyAV adds to it."""
    return str(getattr(problem, "strerror", None) or problem or type(problem).__name__)


def video_stream(container: InputContainer) -> av.VideoStream | None:
    """Return the video stream that a player shows: the default or first one that can be decoded."""
    return default_or_first(_video_streams(container))


def _video_streams(container: InputContainer) -> list[av.VideoStream]:
    """Return the video streams that can be decoded.

    Cover art is left out, whether the file marks it as such or not (`cover_art`).
    """
    path = _path_of(container)
    reopen = partial(open_container, path)
    streams = playable_video_streams(container)
    return [stream for stream in streams if not is_cover_art(path, container, stream, reopen)]


def playable_video_streams(container: InputContainer) -> list[av.VideoStream]:
    """Return the video streams that can be decoded and are not marked as cover art or thumbnails."""
    not_video = Disposition.attached_pic | Disposition.timed_thumbnails
    return [
        stream
        for stream in container.streams.video
        if stream.codec_context is not None and not stream.disposition & not_video
    ]


def required_video_stream(container: InputContainer) -> av.VideoStream:
    """Return `video_stream`. Raises ValueError, an InputError after `open_container`, if there is none."""
    stream = video_stream(container)
    if stream is None:
        raise ValueError("it has no video stream")
    return stream


def unused_stream_notes(container: InputContainer) -> tuple[str, ...]:
    """Return a sentence for each video stream that is not used, and for audio if none can be used."""
    streams = _video_streams(container)
    used = default_or_first(streams)
    types = ("video",) if audio_streams(container) else ("video", "audio")
    notes = []
    for stream in container.streams:
        if stream.type in types and stream.codec_context is None:
            notes.append(
                f"its stream {stream.index} ({stream.type}) is not used: FFmpeg has no decoder for it"
            )
        elif stream.type == "video" and used is None and not stream.disposition & Disposition.attached_pic:
            notes.append(
                f"its stream {stream.index} is a cover or empty, not a video: only the audio is used"
            )
    notes += [
        f"its stream {stream.index} (video, {stream.width} x {stream.height} pixels) is not used, "
        f"because stream {used.index} is the default or first one"
        for stream in streams
        if used is not None and stream.index != used.index
    ]
    return tuple(notes)


def audio_stream(container: InputContainer) -> av.AudioStream | None:
    """Return the audio stream that a player plays: the default or first one that can be decoded."""
    return default_or_first(audio_streams(container))


def audio_streams(container: InputContainer) -> list[av.AudioStream]:
    """Return the audio streams for which FFmpeg has a decoder, in the order of the file."""
    return [stream for stream in container.streams.audio if stream.codec_context is not None]


def default_or_first(streams: Sequence[StreamT]) -> StreamT | None:
    """Return the first stream that is marked as the default, else the first one, None without one."""
    default = [stream for stream in streams if stream.disposition & Disposition.default]
    return next(iter(default or streams), None)


def clock_zero_s(container: InputContainer) -> float:
    """Return the time on the container's clock that becomes 0 s.

    This is the file's own zero, so that a picture that starts after the audio keeps its offset. It is the
    first timestamp if the format has an arbitrary zero (transport and programme streams), if that timestamp
    is so late that the file was cut from a longer stream, or if it is before zero.
    """
    start_s = (container.start_time or 0) / av.time_base
    relative = FORMATS_WITHOUT_ZERO & set(container.format.name.split(","))
    return 0.0 if not relative and -MAX_ENCODER_DELAY_S <= start_s <= MAX_START_S else start_s


@overload
def to_seconds(ticks: int, tick_s: Fraction, zero_s: float) -> float: ...
@overload
def to_seconds(ticks: np.ndarray, tick_s: Fraction, zero_s: float) -> np.ndarray: ...
def to_seconds(ticks: np.ndarray | int, tick_s: Fraction, zero_s: float) -> np.ndarray | float:
    """Convert ticks of a stream to seconds after the zero of the clock."""
    return ticks * tick_s.numerator / tick_s.denominator - zero_s


def tick_of(stream: Stream) -> Fraction:
    """Return the length of a stream's tick in seconds. Raises ValueError if the stream has none."""
    if stream.time_base is None:
        raise ValueError(f"stream {stream.index} has no time base")
    return stream.time_base


def make_joined_clock(container: InputContainer) -> JoinedClock:
    """Return the clock on which a file's segments follow each other, for one pass over its packets."""
    return JoinedClock(container, partial(open_container, _path_of(container)))


def _path_of(container: InputContainer) -> Path:
    return Path(container.name.removeprefix(PROTOCOL))


def demux_packets(
    container: InputContainer,
    streams: Sequence[Stream],
    errors: list[str],
    clock: PacketClock | None = None,
) -> Iterator[av.Packet[Any]]:
    """Yield the packets of some streams, or of all for an empty list, with timestamps of the joined clock.

    If the file cannot be read to its end, the reason is appended to `errors`. Pass `clock` to get its
    discontinuities afterwards. The last packets are empty; they flush the decoders.
    """
    clock = clock or make_joined_clock(container)
    wanted = {stream.index for stream in streams}
    try:
        for packet in container.demux():
            clock.rebase(packet)
            if not wanted or packet.stream.index in wanted:
                yield packet
    except DECODER_ERRORS as problem:  # an IndexError for a stream that is not in the header
        errors.append(f"the file cannot be read further ({error_text(problem)})")


def decode_packet(packet: av.Packet[Any], errors: list[str]) -> list[Any]:
    """Return the video or audio frames that the decoder outputs for a packet; an error goes to `errors`."""
    try:
        return packet.decode()
    except DECODER_ERRORS as problem:
        near = "" if packet.pts is None else f" near {float(packet.pts * packet.time_base):.3f} s"
        errors.append(f"a packet{near} does not decode ({error_text(problem)})")
        return []


def strict_decoder(stream: av.VideoStream) -> av.VideoStream:
    """Make the decoder of a stream, before it is opened, mark the damage that it detects."""
    # With frame threads FFmpeg sometimes outputs a damaged picture before it is marked as damaged, and with
    # slice threads it may not mark it at all.
    stream.thread_type = "NONE"
    stream.codec_context.options = {"err_detect": "crccheck+bitstream+buffer", "max_pixels": str(MAX_PIXELS)}
    return stream


def decode_frames(
    container: InputContainer, stream: av.VideoStream, errors: list[str]
) -> Iterator[av.VideoFrame]:
    """Yield the decoded pictures in display order, including damaged ones.

    Decoding continues after an error, which is appended to `errors`.
    """
    for packet in demux_packets(container, [strict_decoder(stream)], errors):
        yield from decode_packet(packet, errors)
