"""One continuous clock for a file with timestamp discontinuities (`clock_segments`).

The timestamps of packets are changed before decoding. So pictures and audio stay in step, and the readers
need no code for it. A new segment starts where the one before it ends: one frame after its last picture, or
later if more than MAX_OVERLAP_S of its audio would be lost otherwise.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer
from av.stream import Stream

from vacli.media.clock_segments import ClockSegment, ClockSegmenter, StreamState

MAX_OVERLAP_S = Fraction(1, 10)
MAX_FRAME_S = 10
DEFAULT_FRAME_S = Fraction(1, 25)
MAX_LISTED = 3

Reopen = Callable[[], AbstractContextManager[InputContainer]]
StreamSpans = dict[tuple[int, bool], tuple[Fraction, Fraction]]  # (stream index, is video) -> start, end
SpansBySegment = defaultdict[int, StreamSpans]


@dataclass(frozen=True)
class Discontinuity:
    """A jump of a file's clock. at_s: on the joined clock; jump_s: length of the jump in the file's clock."""

    at_s: float
    jump_s: float


class JoinedClock:
    """Changes the timestamps of a container's packets to one clock; it needs every packet, in file order.

    The offsets of segments take a second pass over all packets, for files with a discontinuity only.
    `discontinuities` are complete after the last packet.
    """

    def __init__(self, container: InputContainer, reopen: Reopen) -> None:
        self._segmenter, self._reopen = ClockSegmenter(container), reopen
        self._scan: _PacketScan | None = None

    @property
    def discontinuities(self) -> tuple[Discontinuity, ...]:
        """Return where segments are joined, ascending."""
        return self._scan.discontinuities if self._scan else ()

    def recording_of(self, stream: Stream) -> int:
        """Return the number of the stream's current recording, which changes at a discontinuity."""
        state = self._segmenter.streams.get(stream.index)
        return self._segmenter.segments[state.segment].recording if state else 0

    def notes(self, zero_s: float) -> tuple[str, ...]:
        """Return a sentence about the discontinuities, with times after `zero_s`; empty if there are none."""
        jumps = self.discontinuities
        if not jumps:
            return ()
        at = ", ".join(f"{jump.at_s - zero_s:.3f} s" for jump in jumps[:MAX_LISTED])
        more = f" and {len(jumps) - MAX_LISTED} more" if len(jumps) > MAX_LISTED else ""
        return (f"its clock jumps at {at}{more}: what follows is joined there",)

    def rebase(self, packet: av.Packet[Any]) -> None:
        """Change a packet's timestamps; remove them if they are damaged."""
        stream = self._segmenter.assign(packet)
        if stream is None or not stream.segment:
            return
        if self._scan is None:
            self._scan = _scan_packets(self._reopen)
        offset_s = self._scan.offsets_s.get(stream.segment)
        if offset_s is None:
            packet.pts = packet.dts = None
        elif offset_s:
            ticks = round(offset_s / stream.tick_s)
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks


@dataclass(frozen=True)
class _PacketScan:
    """offsets_s: segment -> offset of its timestamps; a damaged segment has none."""

    offsets_s: dict[int, Fraction]
    discontinuities: tuple[Discontinuity, ...]


def _scan_packets(reopen: Reopen) -> _PacketScan:
    with reopen() as container:
        segmenter = ClockSegmenter(container)
        spans_s: SpansBySegment = defaultdict(dict)
        for packet in readable_packets(container):
            stream = segmenter.assign(packet)
            if stream is not None and packet.pts is not None:
                _extend_span(spans_s[stream.segment], packet, packet.pts, stream)
    return _join(segmenter.segments, spans_s)


def readable_packets(container: InputContainer) -> Iterator[av.Packet[Any]]:
    """Yield the packets of a container up to the first one that cannot be read."""
    try:
        yield from (packet for packet in container.demux() if packet.size)
    except (av.FFmpegError, IndexError):
        return  # the reader of the file reports it


def _extend_span(spans_s: StreamSpans, packet: av.Packet[Any], pts: int, stream: StreamState) -> None:
    """Extend the span [start, end) of a stream by a packet."""
    start_s = pts * stream.tick_s
    shown_s = (packet.duration or 0) * stream.tick_s
    end_s = start_s + (shown_s if 0 < shown_s <= MAX_FRAME_S else DEFAULT_FRAME_S)
    first_s, last_s = spans_s.get((packet.stream.index, stream.is_video), (start_s, end_s))
    spans_s[packet.stream.index, stream.is_video] = min(first_s, start_s), max(last_s, end_s)


def _join(segments: list[ClockSegment], spans_s: SpansBySegment) -> _PacketScan:
    """Compute the offsets that put each segment behind the one before it."""
    offsets_s = {0: Fraction(0)}
    ends_s = {stream: end_s for stream, (_, end_s) in spans_s[0].items()}
    discontinuities = []
    for number, segment in enumerate(segments[1:], 1):
        if segment.damaged or not spans_s[number]:
            continue
        before = segment.before
        while before not in offsets_s:
            before = segments[before].before
        offset_s = _offset(spans_s[number], ends_s) if segment.joined else offsets_s[before]
        offsets_s[number] = offset_s
        if segment.joined:
            start_s = min(first_s for first_s, _ in spans_s[number].values())
            discontinuities.append(Discontinuity(float(start_s + offset_s), segment.jump_s))
        for stream, (_, end_s) in spans_s[number].items():
            ends_s[stream] = max(ends_s.get(stream, end_s + offset_s), end_s + offset_s)
    return _PacketScan(offsets_s, tuple(discontinuities))


def _offset(spans_s: StreamSpans, ends_s: dict[tuple[int, bool], Fraction]) -> Fraction:
    """Return the offset that puts a segment behind the end of all streams before it."""
    wanted = {s: ends_s[s] - first_s for s, (first_s, _) in spans_s.items() if s in ends_s}
    if not wanted:
        return max(ends_s.values(), default=Fraction(0)) - min(first_s for first_s, _ in spans_s.values())
    pictures = [offset_s for (_, is_video), offset_s in wanted.items() if is_video]
    if pictures and max(wanted.values()) - max(pictures) <= MAX_OVERLAP_S:
        return max(pictures)
    return max(wanted.values())
