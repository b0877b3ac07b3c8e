"""The times of all shown frames, read before the frames are decoded."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.container import InputContainer

from vacli.errors import InputError
from vacli.media.container import (
    clock_zero_s,
    decode_frames,
    demux_packets,
    make_joined_clock,
    open_container,
    required_video_stream,
    tick_of,
    to_seconds,
)
from vacli.media.probe import MediaInfo, required_video
from vacli.media.timestamps import make_ascending, nominal_hz

# AVI numbers its chunks in decoding order, so a packet has no display time.
DECODING_ORDER_ONLY = {"avi"}
# Only these store a duration; FFmpeg estimates that of the others.
DURATION_IN_HEADER = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "flv", "avi"}
EARLY_S = 0.5
VP8_SHOWN = 0x10  # show_frame bit of the frame tag, RFC 6386 section 9.1


@dataclass(frozen=True)
class Timeline:
    """Frames in display order.

    times_s: (N,) float64 seconds on the clock of `container.clock_zero_s`, strictly ascending.
    ticks: (N,) int64 the same in the stream's unit; None if the packets do not have them, so that frames can
    only be counted after decoding.
    hidden: number of frames that are in the container but not shown (edit list).
    decode_error: where and why the list ends early, or None.
    notes: sentences about the clock, though no frame is lost.
    """

    times_s: np.ndarray
    ticks: np.ndarray | None
    hidden: int
    decode_error: str | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _PacketList:
    """ticks: (N,) int64 ascending, of the packets with a timestamp. complete: all packets have one."""

    ticks: np.ndarray
    complete: bool
    hidden: int
    decode_error: str | None
    notes: tuple[str, ...]


def read_timeline(info: MediaInfo) -> Timeline:
    """List the shown frames of a file's video stream, from the first one that decodes.

    The times come from the packets without decoding. If these are incomplete or do not have the first frame
    that was decoded, one pass of decoding lists the frames.
    Raises InputError if the stream shows no frame.
    """
    video = required_video(info)
    with open_container(info.path) as container:
        stream = required_video_stream(container)
        zero_s, rate_hz = clock_zero_s(container), nominal_hz(stream.guessed_rate, stream.average_rate)
        listed = _from_packets(container, stream)
        times_s = to_seconds(listed.ticks, tick_of(stream), zero_s)
    # A stream that was cut starts with packets without a picture.
    first = int(np.searchsorted(times_s, video.start_s))
    ticks: np.ndarray | None = listed.ticks[first:]
    times_s = times_s[first:]
    if not listed.complete or not len(times_s) or times_s[0] != video.start_s:
        with open_container(info.path) as container:
            times_s, ticks = _from_decoder(container, required_video_stream(container), listed.ticks)
    if not len(times_s):
        raise InputError(f"{info.path}: its video stream shows no frame")
    times_s, notes = make_ascending(times_s, rate_hz)
    return Timeline(times_s, ticks, listed.hidden, listed.decode_error, listed.notes + notes)


def _from_packets(container: InputContainer, stream: av.VideoStream) -> _PacketList:
    errors: list[str] = []
    ticks = array("q")  # eight bytes a frame: hours of frames are listed
    complete = container.format.name not in DECODING_ORDER_ONLY
    clock = make_joined_clock(container)
    hidden, end_s = 0, 0.0
    for packet in demux_packets(container, [], errors, clock):
        end_s = max(end_s, float(((packet.pts or 0) + (packet.duration or 0)) * packet.time_base))
        if packet.stream is not stream or packet.size == 0:
            continue
        if packet.is_discard:
            hidden += 1
        elif packet.pts is None:
            complete = False
        elif _is_shown(packet, stream):
            ticks.append(packet.pts)
    duration_s = (container.duration or 0) / av.time_base
    is_short = container.format.name in DURATION_IN_HEADER and end_s < 0.98 * duration_s - EARLY_S
    if not errors and is_short:
        errors.append(f"the file ends at {end_s:.1f} s of {duration_s:.1f} s")
    notes = clock.notes(clock_zero_s(container))
    order = np.sort(np.array(ticks, dtype=np.int64))
    return _PacketList(order, complete, hidden, errors[0] if errors else None, notes)


def _is_shown(packet: av.Packet[Any], stream: av.VideoStream) -> bool:
    """Return whether a packet has a shown picture: VP8 stores reference frames that are never shown."""
    return stream.codec_context.name != "vp8" or bool(memoryview(packet)[0] & VP8_SHOWN)


def _from_decoder(
    container: InputContainer, stream: av.VideoStream, listed: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return times and ticks of the frames by decoding them once more.

    If they have the timestamps of packets in ascending order, packets without a frame are rows too.
    """
    tick_s, zero_s = tick_of(stream), clock_zero_s(container)
    ticks = [frame.pts for frame in decode_frames(container, stream, [])]
    if ticks and None not in ticks:
        order = np.array(ticks, dtype=np.int64)
        if (np.diff(order) > 0).all() and np.isin(order, listed).all():
            rows = listed[np.searchsorted(listed, order[0]) :]
            return to_seconds(rows, tick_s, zero_s), rows
        return to_seconds(np.sort(order), tick_s, zero_s), None
    times_s = [np.nan if tick is None else to_seconds(tick, tick_s, zero_s) for tick in ticks]
    return np.array(times_s, dtype=np.float64), None
