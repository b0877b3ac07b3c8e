"""When each frame is shown, from the container's packets, before anything is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer

from vacli.errors import InputError
from vacli.media.container import clock_zero_s, opened, picture_stream, reason

# A clock that jumps back further than this starts anew (two recordings in one stream).
CLOCK_JUMP_S = 1.0
VP8_SHOWN = 0x10  # show_frame bit of the frame tag, RFC 6386 section 9.1


@dataclass(frozen=True)
class Timeline:
    """Frames in display order.

    ticks: (N,) int64 presentation times in the stream's own unit, ascending.
    times_s: (N,) float64 seconds on the clock of `container.clock_zero_s`.
    hidden: frames that the container holds but does not show (edit list).
    end_s: when the last frame stops being shown.
    broken: where and why reading the packets stopped early, or None.
    """

    ticks: np.ndarray
    times_s: np.ndarray
    hidden: int
    end_s: float
    broken: str | None


def read_timeline(path: Path) -> Timeline:
    """List the shown frames of a file's picture stream.

    Raises InputError if there is no picture stream or it lists no frame.
    """
    with opened(path) as container:
        stream = picture_stream(container)
        if stream is None:
            raise InputError(f"{path}: has no picture stream")
        timeline = _from_packets(container, stream)
    if len(timeline.ticks) == 0:
        raise InputError(f"{path}: its picture stream shows no frame")
    return timeline


def _from_packets(container: InputContainer, stream: av.VideoStream) -> Timeline:
    ticks, hidden, last_ticks, broken, newest = [], 0, 0, None, None
    jump = CLOCK_JUMP_S / stream.time_base
    try:
        for packet in container.demux(stream):
            if packet.pts is None and packet.dts is None:
                continue  # the flush at the end
            if newest is not None and packet.dts is not None and packet.dts < newest - jump:
                broken = f"its clock jumps back after {seconds(newest, stream.time_base):.3f} s"
                break
            newest = packet.dts if packet.dts is not None else newest
            if packet.is_discard:
                hidden += 1
            elif is_shown(packet, stream):
                ticks.append(packet.pts)
                last_ticks = packet.duration or 0
    except av.FFmpegError as problem:
        broken = f"{reason(problem)} after {len(ticks)} frames"
    order = np.sort(np.array(ticks, dtype=np.int64))
    return _timeline(order, last_ticks, hidden, broken, container, stream)


def is_shown(packet: av.Packet, stream: av.VideoStream) -> bool:
    """Whether a packet gives a picture: VP8 stores reference frames that are never shown."""
    if stream.codec_context.name not in ("vp8", "libvpx"):
        return True
    return packet.size > 0 and bool(memoryview(packet)[0] & VP8_SHOWN)


def seconds(ticks: np.ndarray | int, tick_s: Fraction) -> np.ndarray | float:
    """Container ticks as seconds, rounded once."""
    return ticks * tick_s.numerator / tick_s.denominator


def _timeline(
    ticks: np.ndarray,
    last_ticks: int,
    hidden: int,
    broken: str | None,
    container: InputContainer,
    stream: av.VideoStream,
) -> Timeline:
    times_s = seconds(ticks, stream.time_base) - clock_zero_s(container)
    step_s = float(np.median(np.diff(times_s))) if len(ticks) > 1 else 0.0
    end_s = float(times_s[-1]) + (seconds(last_ticks, stream.time_base) or step_s) if len(ticks) else 0.0
    return Timeline(ticks=ticks, times_s=times_s, hidden=hidden, end_s=end_s, broken=broken)
