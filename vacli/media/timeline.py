"""When each frame is shown, known before the frames are decoded."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.container import InputContainer

from vacli.clock import regular_times
from vacli.errors import InputError
from vacli.media.container import clock_zero_s, frames_of, opened, packets_of, picture_stream, shown_at_s
from vacli.media.probe import MediaInfo

# A clock that jumps back further than this starts anew: two recordings in one stream.
CLOCK_JUMP_S = 1.0
# AVI numbers its chunks in the order of decoding, so a packet does not tell when its picture is shown.
DECODING_ORDER_ONLY = {"avi"}
# Only these write a duration down; of the others it is guessed.
DURATION_IN_HEADER = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "flv", "avi"}
EARLY_S = 0.5
VP8_SHOWN = 0x10  # show_frame bit of the frame tag, RFC 6386 section 9.1


@dataclass(frozen=True)
class Timeline:
    """Frames in display order.

    times_s: (N,) float64 seconds on the clock of `container.clock_zero_s`, ascending.
    ticks: (N,) int64 the same in the stream's own unit; None where the packets do not tell and frames
    can only be counted as they come out of the decoder.
    hidden: frames that the container holds but does not show (edit list).
    broken: where and why the list stops early, or None.
    """

    times_s: np.ndarray
    ticks: np.ndarray | None
    hidden: int
    broken: str | None


def read_timeline(info: MediaInfo) -> Timeline:
    """List the shown frames of a file's picture stream.

    Packets tell, and nothing is decoded, unless their times are incomplete or disagree with the first
    frame that was decoded (a stream cut in mid-air); then one pass of decoding lists the frames.
    Raises InputError if the stream shows no frame.
    """
    with opened(info.path) as container:
        listed = _from_packets(container, picture_stream(container))
    if listed.ticks is None or len(listed.times_s) == 0 or listed.times_s[0] != info.video.start_s:
        with opened(info.path) as container:
            listed = _from_decoder(container, picture_stream(container), listed)
    if len(listed.times_s) == 0:
        raise InputError(f"{info.path}: its picture stream shows no frame")
    return listed


def _from_packets(container: InputContainer, stream: av.VideoStream) -> Timeline:
    lost: list[str] = []
    ticks = array("q")  # eight bytes a frame: hours of frames are listed
    untold = container.format.name in DECODING_ORDER_ONLY
    hidden, newest, end_s = 0, None, 0.0
    jump = CLOCK_JUMP_S / stream.time_base
    for packet in packets_of(container, [], lost):
        end_s = max(end_s, float(((packet.pts or 0) + (packet.duration or 0)) * packet.time_base))
        if packet.stream is not stream or packet.size == 0:
            continue
        if newest is not None and packet.dts is not None and packet.dts < newest - jump:
            lost.append(f"its clock jumps back after {len(ticks)} frames")
            break
        newest = packet.dts if packet.dts is not None else newest
        if packet.is_discard:
            hidden += 1
        elif packet.pts is None:
            untold = True
        elif _is_shown(packet, stream):
            ticks.append(packet.pts)
    if not lost and _ends_early(container, end_s):
        lost.append(f"the file ends at {end_s:.1f} s of {container.duration / av.time_base:.1f} s")
    broken = lost[0] if lost else None
    if untold:
        return Timeline(np.empty(0), None, hidden, broken)
    order = np.sort(np.array(ticks, dtype=np.int64))
    return Timeline(shown_at_s(order, stream.time_base, clock_zero_s(container)), order, hidden, broken)


def _ends_early(container: InputContainer, end_s: float) -> bool:
    """Whether the packets stop well before the duration that the header promises."""
    promised_s = (container.duration or 0) / av.time_base
    return container.format.name in DURATION_IN_HEADER and end_s < 0.98 * promised_s - EARLY_S


def _is_shown(packet: av.Packet, stream: av.VideoStream) -> bool:
    """Whether a packet gives a picture: VP8 stores reference frames that are never shown."""
    return stream.codec_context.name != "vp8" or bool(memoryview(packet)[0] & VP8_SHOWN)


def _from_decoder(container: InputContainer, stream: av.VideoStream, listed: Timeline) -> Timeline:
    """The same list from the frames themselves, at the price of decoding them once more."""
    ticks = [frame.pts for frame in frames_of(container, stream, [])]
    if None in ticks:  # a bare stream without a clock: its nominal rate is all that there is
        rate_hz = stream.guessed_rate or stream.average_rate or Fraction(25)
        return Timeline(regular_times(len(ticks), rate_hz), None, listed.hidden, listed.broken)
    order = np.sort(np.array(ticks, dtype=np.int64))
    times_s = shown_at_s(order, stream.time_base, clock_zero_s(container))
    return Timeline(times_s, None, listed.hidden, listed.broken)
