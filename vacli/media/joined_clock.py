"""One clock for a file whose own starts anew (`segments`).

The time stamps of packets are moved before anything is decoded, so pictures and sound stay in step and no
reader has to know of it. A new segment goes on where the one before it ends: one frame after its last
picture, or later if more than OVERLAP_S of its sound would be lost otherwise.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction

import av
from av.container import InputContainer

from vacli.media.clock_segments import Segment, Stream, Tracker

OVERLAP_S = Fraction(1, 10)
LONGEST_FRAME_S = 10
USUAL_FRAME_S = Fraction(1, 25)
SEAMS_NAMED = 3

Reopen = Callable[[], AbstractContextManager[InputContainer]]
Spans = dict[tuple[int, bool], tuple[Fraction, Fraction]]  # (stream index, is a picture) -> start, end
SpansByPlace = defaultdict[int, Spans]


@dataclass(frozen=True)
class Seam:
    """Where the clock starts anew. at_s: on the joined clock; jump_s: by how much the file's own jumps."""

    at_s: float
    jump_s: float


class JoinedClock:
    """Moves the stamps of a container's packets onto one clock; every packet passes, in file order.

    What a segment's offset is takes one more look at all packets, which files without a jump do not pay for.
    `seams` are known when all packets have passed.
    """

    def __init__(self, container: InputContainer, reopen: Reopen) -> None:
        self._tracker, self._reopen = Tracker(container), reopen
        self._survey: _Survey | None = None

    @property
    def seams(self) -> tuple[Seam, ...]:
        """Where segments were joined, ascending."""
        return self._survey.seams if self._survey else ()

    def recording_of(self, stream: av.stream.Stream) -> int:
        """Changes where a stream passes a seam."""
        known = self._tracker.streams.get(stream.index)
        return self._tracker.segments[known.segment].recording if known else 0

    def notes(self, zero_s: float) -> tuple[str, ...]:
        """A sentence about the seams, with times after `zero_s`; nothing where there are none."""
        if not self.seams:
            return ()
        at = ", ".join(f"{seam.at_s - zero_s:.3f} s" for seam in self.seams[:SEAMS_NAMED])
        more = f" and {len(self.seams) - SEAMS_NAMED} more" if len(self.seams) > SEAMS_NAMED else ""
        return (f"its clock starts anew at {at}{more}: the recordings are joined there",)

    def place(self, packet: av.Packet) -> None:
        """Move a packet's stamps; take them away where they are no time."""
        stream = self._tracker.note(packet)
        if stream is None or not stream.segment:
            return
        if self._survey is None:
            self._survey = _survey(self._reopen)
        offset_s = self._survey.offsets_s.get(stream.segment)
        if offset_s is None:
            packet.pts = packet.dts = None
        elif offset_s:
            ticks = round(offset_s / stream.tick_s)
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks


@dataclass(frozen=True)
class _Survey:
    """What all packets say. offsets_s: segment -> what is added to its stamps; damaged ones have none."""

    offsets_s: dict[int, Fraction]
    seams: tuple[Seam, ...]


def _survey(reopen: Reopen) -> _Survey:
    with reopen() as container:
        tracker = Tracker(container)
        spans_s: SpansByPlace = defaultdict(dict)
        for packet in readable(container):
            stream = tracker.note(packet)
            if stream is not None and packet.pts is not None:
                _widen(spans_s[stream.segment], packet, stream)
    return _joined(tracker.segments, spans_s)


def readable(container: InputContainer) -> Iterator[av.Packet]:
    """A container's packets as far as they can be read."""
    try:
        yield from (packet for packet in container.demux() if packet.size)
    except (av.FFmpegError, IndexError):
        return  # the reader that asked says so


def _widen(spans_s: Spans, packet: av.Packet, stream: Stream) -> None:
    """Let the stretch [start, end) of a stream include what a packet shows."""
    start_s = packet.pts * stream.tick_s
    shown_s = (packet.duration or 0) * stream.tick_s
    end_s = start_s + (shown_s if 0 < shown_s <= LONGEST_FRAME_S else USUAL_FRAME_S)
    first_s, last_s = spans_s.get((packet.stream.index, stream.is_picture), (start_s, end_s))
    spans_s[packet.stream.index, stream.is_picture] = min(first_s, start_s), max(last_s, end_s)


def _joined(segments: list[Segment], spans_s: SpansByPlace) -> _Survey:
    """Lay one segment behind the other."""
    offsets_s = {0: Fraction(0)}
    ends_s = {stream: end_s for stream, (_, end_s) in spans_s[0].items()}
    seams = []
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
            seams.append(Seam(float(start_s + offset_s), segment.jump_s))
        for stream, (_, end_s) in spans_s[number].items():
            ends_s[stream] = max(ends_s.get(stream, end_s + offset_s), end_s + offset_s)
    return _Survey(offsets_s, tuple(seams))


def _offset(spans_s: Spans, ends_s: dict[tuple[int, bool], Fraction]) -> Fraction:
    """What makes a segment follow all that is before it."""
    wanted = {s: ends_s[s] - first_s for s, (first_s, _) in spans_s.items() if s in ends_s}
    if not wanted:
        return max(ends_s.values(), default=Fraction(0)) - min(first_s for first_s, _ in spans_s.values())
    pictures = [offset_s for (_, is_picture), offset_s in wanted.items() if is_picture]
    if pictures and max(wanted.values()) - max(pictures) <= OVERLAP_S:
        return max(pictures)
    return max(wanted.values())
