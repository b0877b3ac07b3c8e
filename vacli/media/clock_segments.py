"""Finding where the clock of a file starts anew: recordings joined in one stream, jumps of a sender.

- A clock that falls by more than FALL_S starts a new segment, in every container.
- A clock that rises by more than RISE_S starts one in transport and programme streams, whose clock is the
  sender's; elsewhere only by more than LONGEST_HOLE_S, because a hole is what such a file says.
- A stream that rises to where the others are was silent in between; that is no segment.
- Up to EXCURSION stamps that leave the clock and come back are damaged; their packets have no time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import av
from av.container import InputContainer
from av.stream import Disposition

FALL_S = 0.5
STEADY_S = 1.0  # a longer step is looked at
RISE_S = 10.0  # as FFmpeg's dts_delta_threshold
LONGEST_HOLE_S = 86_400.0
NEAR_S = 10.0  # how far apart the streams of one segment may be written
EXCURSION = 3
NO_TIME_S = 1e10  # 300 years
LOOK_BACK = 8  # segments
SENDERS_CLOCK = {"mpegts", "mpeg"}


@dataclass
class Segment:
    """A stretch of one clock. joined: whether it is moved to the end of the one before it."""

    before: int
    jump_s: float
    joined: bool
    recording: int  # the number of the joined segment that this one belongs to
    damaged: bool = False
    spans_s: dict[int, list[float]] = field(default_factory=dict)  # stream index -> [first, newest] stamp

    def holds(self, time_s: float) -> bool:
        return any(first - NEAR_S <= time_s <= newest + NEAR_S for first, newest in self.spans_s.values())


@dataclass
class Stream:
    """Where a stream is: its segment, the packets it has there, and its newest stamp."""

    tick_s: Fraction
    is_picture: bool
    segment: int = 0
    count: int = 0
    span_s: list[float] | None = None


class Tracker:
    """Finds for each packet the segment that it belongs to."""

    def __init__(self, container: InputContainer) -> None:
        sender = container.format.name in SENDERS_CLOCK
        self._rise_s = RISE_S if sender else LONGEST_HOLE_S
        away = Disposition.attached_pic | Disposition.timed_thumbnails
        self.streams = {
            stream.index: Stream(stream.time_base, stream.type == "video")
            for stream in container.streams
            if stream.type in ("video", "audio") and not stream.disposition & away and stream.time_base
        }
        self.segments = [Segment(0, 0.0, joined=False, recording=0)]

    def note(self, packet: av.Packet) -> Stream | None:
        """The packet's stream with its segment, or None for what has no clock."""
        index = packet.stream.index
        stream = self.streams.get(index)
        ticks = packet.dts if packet.dts is not None else packet.pts
        if stream is None or ticks is None:
            return stream
        time_s = float(ticks * stream.tick_s)
        if abs(time_s) > NO_TIME_S:
            packet.pts = packet.dts = None
            return stream
        span_s = stream.span_s
        if span_s is None or not -FALL_S <= time_s - span_s[1] <= STEADY_S:
            self._enter(index, stream, self._segment_at(index, stream, time_s), time_s)
        stream.count += 1
        stream.span_s[1] = time_s
        return stream

    def _enter(self, index: int, stream: Stream, segment: int, time_s: float) -> None:
        if segment != stream.segment or stream.span_s is None:
            stream.segment, stream.count = segment, 0
            stream.span_s = self.segments[segment].spans_s.setdefault(index, [time_s, time_s])

    def _segment_at(self, index: int, stream: Stream, time_s: float) -> int:
        own, last = stream.segment, len(self.segments) - 1
        for number in range(last, max(own, last - LOOK_BACK), -1):
            if self.segments[number].holds(time_s):
                return number
        if stream.span_s is None:
            return last
        back = self.segments[own].before
        if own and stream.count <= EXCURSION and self._goes_on(self.segments[back], index, time_s):
            self.segments[own].damaged = True
            return back
        return self._same_or_new(index, stream, time_s)

    def _goes_on(self, segment: Segment, index: int, time_s: float) -> bool:
        """Whether a stamp continues what the stream has in a segment."""
        span_s = segment.spans_s.get(index)
        return span_s is not None and -FALL_S <= time_s - span_s[1] <= STEADY_S

    def _same_or_new(self, index: int, stream: Stream, time_s: float) -> int:
        spans_s = self.segments[stream.segment].spans_s
        step_s = time_s - stream.span_s[1]
        others_s = [newest for other, (_, newest) in spans_s.items() if other != index]
        if step_s > 0 and any(time_s <= newest + STEADY_S for newest in others_s):
            return stream.segment
        ahead_s = time_s - max([stream.span_s[1], *others_s])
        joined = step_s < 0 or ahead_s > self._rise_s
        number = len(self.segments)
        recording = number if joined else self.segments[stream.segment].recording
        self.segments.append(Segment(stream.segment, step_s, joined, recording))
        return number
