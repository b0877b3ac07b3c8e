"""Write a video whose pictures have given times, with the sound of another file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
from av.container import OutputContainer

from vacli.errors import UsageError
from vacli.media.container import PROTOCOL
from vacli.media.sound_output import Sound, sound_packets
from vacli.media.yuv import FORMAT, LIMITED_RANGE, ColourMatrix

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
MUXER_OPTIONS = {"mp4": {"movflags": "faststart"}, "mov": {"movflags": "faststart"}}


@dataclass(frozen=True)
class Encoder:
    """An encoder of FFmpeg. max_denominator: of its time base. note: for the user, empty if there is none."""

    name: str
    options: dict[str, str]
    max_denominator: int
    note: str = ""


H264 = Encoder("libx264", {"preset": "veryfast", "crf": "21"}, 1 << 30)
MPEG4 = Encoder(
    "mpeg4",
    {"qscale": "3", "flags": "+qscale"},
    65_535,  # MPEG-4 Part 2 stores 16 bits
    "this PyAV has no encoder libx264, so the video is written as MPEG-4 Part 2",
)


@dataclass(frozen=True)
class VideoFormat:
    """Of the pictures of a file: even sizes, unit of their times, nominal rate, and tags of their colours.

    primaries, transfer: AVColorPrimaries and AVColorTransferCharacteristic.
    """

    width_px: int
    height_px: int
    tick_s: Fraction
    rate_hz: Fraction
    matrix: ColourMatrix
    primaries: int
    transfer: int


def container_of(path: Path) -> str:
    """The container of a file's ending. Raises UsageError for an ending that is not in CONTAINERS."""
    name = CONTAINERS.get(path.suffix.lower())
    if name is None:
        hint = "name a file that ends with " + ", ".join(CONTAINERS)
        raise UsageError(f"{path}: cannot write a video with the ending {path.suffix!r}", hint=hint)
    return name


def select_encoder() -> Encoder:
    """H.264, or MPEG-4 Part 2 where FFmpeg was built without libx264."""
    return H264 if H264.name in av.codec.codecs_available else MPEG4


class VideoWriter:
    """Encodes pictures and interleaves them with sound. sound_is_copied: None without sound."""

    def __init__(self, out: OutputContainer, video: VideoFormat, sound: Sound | None) -> None:
        self._out = out
        encoder = select_encoder()
        finest_s = Fraction(1, encoder.max_denominator)
        self._tick_s = video.tick_s if video.tick_s >= finest_s else finest_s
        self._stream = _add_stream(out, encoder, video, self._tick_s)
        self._tick = -1
        self._sound: Iterator[av.Packet[Any]] = iter(())
        self.sound_is_copied: bool | None = None
        if sound is not None:
            self._sound, self.sound_is_copied = sound_packets(sound, out)
        self._next_sound: av.Packet[Any] | None = None

    def write(self, picture: av.VideoFrame, time_s: float) -> None:
        """Encode a picture of format yuv420p; times must ascend."""
        self._tick = max(round(time_s / self._tick_s), self._tick + 1)
        picture.pts, picture.time_base = self._tick, self._tick_s
        self._out.mux(self._stream.encode(picture))
        self._mux_sound(time_s)

    def finish(self) -> None:
        """Write all that is left."""
        self._out.mux(self._stream.encode(None))
        self._mux_sound(float("inf"))

    def _mux_sound(self, until_s: float) -> None:
        """Write the packets of sound up to a time, so that both streams lie side by side in the file."""
        while True:
            packet = self._next_sound or next(self._sound, None)
            if packet is not None and float((packet.dts or 0) * packet.time_base) > until_s:
                self._next_sound = packet
                return
            self._next_sound = None
            if packet is None:
                return
            self._out.mux(packet)


@contextmanager
def open_writer(
    path: Path, container: str, video: VideoFormat, sound: Sound | None, comment: str = ""
) -> Iterator[VideoWriter]:
    """A writer of a new file; `path` may have any ending. `finish` must be called at the end.

    comment: for the metadata of the container.
    """
    options = MUXER_OPTIONS.get(container, {})
    with av.open(f"{PROTOCOL}{path}", "w", format=container, options=options) as out:
        if comment:
            out.metadata["comment"] = comment
        yield VideoWriter(out, video, sound)


def _add_stream(
    out: OutputContainer, encoder: Encoder, video: VideoFormat, tick_s: Fraction
) -> av.VideoStream:
    stream = cast(av.VideoStream, out.add_stream(encoder.name, rate=video.rate_hz, options=encoder.options))
    stream.width, stream.height, stream.pix_fmt = video.width_px, video.height_px, FORMAT
    stream.time_base = stream.codec_context.time_base = tick_s
    stream.thread_type = "FRAME"  # slices compress less
    context = stream.codec_context
    context.color_range, context.colorspace = LIMITED_RANGE, video.matrix.code
    context.color_primaries, context.color_trc = video.primaries, video.transfer
    return stream
