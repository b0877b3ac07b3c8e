"""When each frame is shown, known before the frames are decoded."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import av
import numpy as np
from av.container import InputContainer

from vacli.errors import InputError
from vacli.media.container import (
    clock_zero_s,
    frames_of,
    joined_clock,
    opened,
    packets_of,
    picture_stream,
    shown_at_s,
)
from vacli.media.probe import MediaInfo
from vacli.media.timestamps import ascending, nominal_hz

# AVI numbers its chunks in the order of decoding, so a packet does not tell when its picture is shown.
DECODING_ORDER_ONLY = {"avi"}
# Only these write a duration down; of the others it is guessed.
DURATION_IN_HEADER = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "flv", "avi"}
EARLY_S = 0.5
VP8_SHOWN = 0x10  # show_frame bit of the frame tag, RFC 6386 section 9.1


@dataclass(frozen=True)
class Timeline:
    """Frames in display order.

    times_s: (N,) float64 seconds on the clock of `container.clock_zero_s`, strictly ascending.
    ticks: (N,) int64 the same in the stream's own unit; None where the packets do not tell and frames
    can only be counted as they come out of the decoder.
    hidden: frames that the container holds but does not show (edit list).
    broken: where and why the list stops early, or None.
    notes: what is odd about the clock though no frame is lost; a sentence each.
    """

    times_s: np.ndarray
    ticks: np.ndarray | None
    hidden: int
    broken: str | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Listed:
    """What the packets say. ticks: (N,) int64 ascending, as far as they have stamps; complete: all have."""

    ticks: np.ndarray
    complete: bool
    hidden: int
    broken: str | None
    notes: tuple[str, ...]


def read_timeline(info: MediaInfo) -> Timeline:
    """List the shown frames of a file's picture stream, from the first one that decodes on.

    Packets tell, and nothing is decoded, unless their times are incomplete or do not have the first frame
    that was decoded; then one pass of decoding lists the frames.
    Raises InputError if the stream shows no frame.
    """
    with opened(info.path) as container:
        stream = picture_stream(container)
        zero_s, rate_hz = clock_zero_s(container), nominal_hz(stream.guessed_rate, stream.average_rate)
        listed = _from_packets(container, stream)
        times_s = shown_at_s(listed.ticks, stream.time_base, zero_s)
    # A stream that was cut in mid-air starts with packets of which there is no picture.
    first = int(np.searchsorted(times_s, info.video.start_s))
    ticks: np.ndarray | None = listed.ticks[first:]
    times_s = times_s[first:]
    if not listed.complete or not len(times_s) or times_s[0] != info.video.start_s:
        with opened(info.path) as container:
            times_s, ticks = _from_decoder(container, picture_stream(container), listed.ticks)
    if not len(times_s):
        raise InputError(f"{info.path}: its picture stream shows no frame")
    times_s, notes = ascending(times_s, rate_hz)
    return Timeline(times_s, ticks, listed.hidden, listed.broken, listed.notes + notes)


def _from_packets(container: InputContainer, stream: av.VideoStream) -> _Listed:
    lost: list[str] = []
    ticks = array("q")  # eight bytes a frame: hours of frames are listed
    complete = container.format.name not in DECODING_ORDER_ONLY
    clock = joined_clock(container)
    hidden, end_s = 0, 0.0
    for packet in packets_of(container, [], lost, clock):
        end_s = max(end_s, float(((packet.pts or 0) + (packet.duration or 0)) * packet.time_base))
        if packet.stream is not stream or packet.size == 0:
            continue
        if packet.is_discard:
            hidden += 1
        elif packet.pts is None:
            complete = False
        elif _is_shown(packet, stream):
            ticks.append(packet.pts)
    if not lost and _ends_early(container, end_s):
        lost.append(f"the file ends at {end_s:.1f} s of {container.duration / av.time_base:.1f} s")
    notes = clock.notes(clock_zero_s(container))
    order = np.sort(np.array(ticks, dtype=np.int64))
    return _Listed(order, complete, hidden, lost[0] if lost else None, notes)


def _ends_early(container: InputContainer, end_s: float) -> bool:
    """Whether the packets stop well before the duration that the header promises."""
    promised_s = (container.duration or 0) / av.time_base
    return container.format.name in DURATION_IN_HEADER and end_s < 0.98 * promised_s - EARLY_S


def _is_shown(packet: av.Packet, stream: av.VideoStream) -> bool:
    """Whether a packet gives a picture: VP8 stores reference frames that are never shown."""
    return stream.codec_context.name != "vp8" or bool(memoryview(packet)[0] & VP8_SHOWN)


def _from_decoder(
    container: InputContainer, stream: av.VideoStream, listed: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Times and ticks of the frames themselves, at the price of decoding them once more.

    Where they have the stamps of packets in ascending order, packets without a frame are rows too.
    """
    tick_s, zero_s = stream.time_base, clock_zero_s(container)
    given = [frame.pts for frame in frames_of(container, stream, [])]
    if given and None not in given:
        order = np.array(given, dtype=np.int64)
        if (np.diff(order) > 0).all() and np.isin(order, listed).all():
            rows = listed[np.searchsorted(listed, order[0]) :]
            return shown_at_s(rows, tick_s, zero_s), rows
        return shown_at_s(np.sort(order), tick_s, zero_s), None
    times_s = [np.nan if tick is None else shown_at_s(tick, tick_s, zero_s) for tick in given]
    return np.array(times_s, dtype=np.float64), None
