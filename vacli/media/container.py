"""Opening a media file with PyAV: which streams count, where its clock starts, what went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition

from vacli.errors import InputError
from vacli.media.cover_art import is_cover
from vacli.media.joined_clock import JoinedClock

# These formats carry a running clock whose zero means nothing, so their first timestamp becomes zero.
CLOCK_WITHOUT_ZERO = {"mpeg", "mpegts", "mp3", "aac"}
# No recording starts its picture this late on purpose: a larger start is a cut from a longer stream.
LATEST_START_S = 60.0

PROTOCOL = "file:"  # or FFmpeg takes what is before a colon in a file's name for a protocol
MOST_PIXELS = 1 << 26  # twice an 8K picture; more is a broken header and memory lost
# What PyAV raises beside its own errors: on streams without a decoder, odd text, absurd sizes and numbers.
FAULTS = (av.FFmpegError, AttributeError, LookupError, TypeError, ValueError, ArithmeticError, MemoryError)
# Text in a file (titles, tags) is never used, so odd encodings of it must not matter. PyAV 19 takes any and
# has no such argument; containers of older ones keep it as an attribute.
_ANY_TEXT = {"metadata_errors": "replace"} if hasattr(InputContainer, "metadata_errors") else {}

REPAIR = "if a player shows it, `ffmpeg -i FILE -c copy fixed.mkv` repairs most containers"


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """The opened container.

    Raises InputError if the file is missing, empty, or not a media file that FFmpeg knows.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder, not a media file" if path.is_dir() else "no such file"
        raise InputError(f"{path}: {what}")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: is empty (0 bytes)", hint="copy or download it again")
    try:
        container = av.open(f"{PROTOCOL}{path}", **_ANY_TEXT)
    except (av.FFmpegError, OSError) as problem:
        raise InputError(
            f"{path}: cannot be read as audio or video ({reason(problem)})", hint=REPAIR
        ) from None
    with container, _named(path):
        yield container


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Whatever PyAV raises over what a file holds becomes an InputError; so does a picture beyond memory."""
    try:
        yield
    except FAULTS as problem:
        cause = f"{type(problem).__name__}: {reason(problem)}"
        raise InputError(f"{path}: cannot be read ({cause})", hint=REPAIR) from problem


def reason(problem: BaseException) -> str:
    """What FFmpeg says, without the path that PyAV adds to it."""
    return str(getattr(problem, "strerror", None) or problem or type(problem).__name__)


def picture_stream(container: InputContainer) -> av.VideoStream | None:
    """The video stream that a player shows: the default one, else the first, of those that FFmpeg can decode.

    Covers do not count, whether the file calls them so or not (`covers`).
    """
    not_video = Disposition.attached_pic | Disposition.timed_thumbnails
    streams = [
        stream
        for stream in container.streams.video
        if stream.codec_context is not None and not stream.disposition & not_video
    ]
    path = _path_of(container)
    reopen = partial(opened, path)
    return _default_or_first([stream for stream in streams if not is_cover(path, container, stream, reopen)])


def passed_over(container: InputContainer) -> tuple[str, ...]:
    """A sentence for each picture that cannot be used, and for sound if there is none that can."""
    used = picture_stream(container)
    types = ("video",) if audio_streams(container) else ("video", "audio")
    notes = []
    for stream in container.streams:
        if stream.type in types and stream.codec_context is None:
            notes.append(f"its stream {stream.index} ({stream.type}) has no decoder here and is passed over")
        elif stream.type == "video" and used is None and not stream.disposition & Disposition.attached_pic:
            notes.append(
                f"its stream {stream.index} is a cover or empty, not a video: the sound counts alone"
            )
    return tuple(notes)


def sound_stream(container: InputContainer) -> av.AudioStream | None:
    """The audio stream that a player plays: the default one, else the first, of those that can be decoded."""
    return _default_or_first(audio_streams(container))


def audio_streams(container: InputContainer) -> list[av.AudioStream]:
    """The audio streams that FFmpeg has a decoder for, in the order of the file."""
    return [stream for stream in container.streams.audio if stream.codec_context is not None]


def _default_or_first(streams: list) -> av.stream.Stream | None:
    chosen = [stream for stream in streams if stream.disposition & Disposition.default]
    return (chosen or streams or [None])[0]


def clock_zero_s(container: InputContainer) -> float:
    """The container's own time that counts as 0 s here.

    A file's zero is kept where it has a meaning, so that a picture which starts half a second after
    the sound says so. It is the first timestamp where the format has no zero (transport and programme
    streams), or where it is so far from zero that the file must have been cut from a longer stream.
    """
    start_s = (container.start_time or 0) / av.time_base
    relative = CLOCK_WITHOUT_ZERO & set(container.format.name.split(","))
    return start_s if relative or abs(start_s) > LATEST_START_S else 0.0


def shown_at_s(ticks: np.ndarray | int, tick_s: Fraction, zero_s: float) -> np.ndarray | float:
    """Container ticks as seconds after the clock's zero."""
    return ticks * tick_s.numerator / tick_s.denominator - zero_s


def joined_clock(container: InputContainer) -> JoinedClock:
    """The clock on which a file's segments follow each other, for one pass over its packets."""
    return JoinedClock(container, partial(opened, _path_of(container)))


def _path_of(container: InputContainer) -> Path:
    return Path(container.name.removeprefix(PROTOCOL))


def packets_of(
    container: InputContainer,
    streams: list[av.stream.Stream],
    lost: list[str],
    clock: JoinedClock | None = None,
) -> Iterator[av.Packet]:
    """The packets of some streams, or of all for an empty list; why they stop early is appended to `lost`.

    Their stamps are those of the joined clock (`joined`); give `clock` to learn its seams.
    The last packets are empty and make the decoders give what they still hold.
    """
    clock = clock or joined_clock(container)
    wanted = {stream.index for stream in streams}
    try:
        for packet in container.demux():
            clock.place(packet)
            if not wanted or packet.stream.index in wanted:
                yield packet
    except FAULTS as problem:  # an IndexError for a stream that turns up without the header naming it
        lost.append(f"the file cannot be read further ({reason(problem)})")


def decoded(packet: av.Packet, lost: list[str]) -> list[av.VideoFrame | av.AudioFrame]:
    """What a packet makes its decoder give; why it gives nothing is appended to `lost`."""
    try:
        return packet.decode()
    except FAULTS as problem:
        near = "" if packet.pts is None else f" near {float(packet.pts * packet.time_base):.3f} s"
        lost.append(f"a packet{near} does not decode ({reason(problem)})")
        return []


def careful(stream: av.VideoStream) -> av.VideoStream:
    """A stream whose decoder marks what damage it notices, before it is opened."""
    # In frame threads FFmpeg now and then hands a damaged picture on before it is marked as damaged, and in
    # slice threads it may not mark it at all.
    stream.thread_type = "NONE"
    stream.codec_context.options = {"err_detect": "crccheck+bitstream+buffer", "max_pixels": str(MOST_PIXELS)}
    return stream


def frames_of(container: InputContainer, stream: av.VideoStream, lost: list[str]) -> Iterator[av.VideoFrame]:
    """Decoded pictures in display order, damaged ones too.

    Reading goes on behind what does not decode; that is told in `lost`.
    """
    for packet in packets_of(container, [careful(stream)], lost):
        yield from decoded(packet, lost)
