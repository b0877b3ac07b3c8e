"""Detection of timestamp discontinuities: joined recordings, jumps of a sender's clock.

- A clock that falls by more than FALL_S starts a new segment, in every container.
- A clock that rises by more than RISE_S starts one in transport and programme streams, whose clock is that of
  the sender. In other containers a rise is a gap, unless it is longer than MAX_GAP_S.
- A stream that rises to the time of the other streams was silent in between; that is no new segment.
- Up to MAX_EXCURSION_PACKETS timestamps that leave the clock and come back are damaged; their packets get
none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer
from av.stream import Disposition

FALL_S = 0.5
MAX_STEP_S = 1.0  # a longer step is examined
RISE_S = 10.0  # as FFmpeg's dts_delta_threshold
MAX_GAP_S = 86_400.0
INTERLEAVING_S = 10.0  # maximum distance of the streams of one segment in the file
MAX_EXCURSION_PACKETS = 3
MAX_REORDERED = 17  # packets without a decoding timestamp: the largest delay of H.264 and HEVC, and one
MAX_TIME_S = 1e10  # 300 years
LOOK_BACK_SEGMENTS = 8
SENDER_CLOCK_FORMATS = {"mpegts", "mpeg"}


@dataclass
class ClockSegment:
    """A part of a file with one clock.

    before: number of the segment before it. joined: whether it is moved to the end of that one. recording:
    number of the joined segment that it belongs to. spans_s: stream index -> [first, latest] timestamp.
    """

    before: int
    jump_s: float
    joined: bool
    recording: int
    damaged: bool = False
    spans_s: dict[int, list[float]] = field(default_factory=dict)

    def contains(self, time_s: float) -> bool:
        """Return whether a timestamp is near those of a stream of the segment."""
        return any(
            first - INTERLEAVING_S <= time_s <= latest + INTERLEAVING_S
            for first, latest in self.spans_s.values()
        )


@dataclass
class StreamState:
    """The segment of a stream, the number of its packets there, and its [first, latest] timestamp there.

    n_reordered: number of packets before the first decoding timestamp.
    """

    tick_s: Fraction
    is_video: bool
    segment: int = 0
    count: int = 0
    span_s: list[float] | None = None
    n_reordered: int = 0
    has_dts: bool = False

    def is_reordered(self, packet: av.Packet[Any]) -> bool:
        """Whether a packet follows the first one and its only timestamp need not ascend.

        FFmpeg computes the decoding timestamps of Matroska from those of later packets, so that the first
        packets have none. Presentation timestamps are not in the order of the file.
        """
        self.has_dts |= packet.dts is not None
        if self.has_dts or self.n_reordered == MAX_REORDERED:
            return False
        self.n_reordered += 1
        return self.span_s is not None


class ClockSegmenter:
    """Assigns each packet to a segment."""

    def __init__(self, container: InputContainer) -> None:
        has_sender_clock = container.format.name in SENDER_CLOCK_FORMATS
        self._rise_s = RISE_S if has_sender_clock else MAX_GAP_S
        not_video = Disposition.attached_pic | Disposition.timed_thumbnails
        self.streams = {
            stream.index: StreamState(stream.time_base, stream.type == "video")
            for stream in container.streams
            if stream.type in ("video", "audio") and not stream.disposition & not_video and stream.time_base
        }
        self.segments = [ClockSegment(0, 0.0, joined=False, recording=0)]

    def assign(self, packet: av.Packet[Any]) -> StreamState | None:
        """Return the state of the packet's stream, with its segment; None for a stream without a clock."""
        index = packet.stream.index
        stream = self.streams.get(index)
        ticks = packet.dts if packet.dts is not None else packet.pts
        if stream is None or ticks is None:
            return stream
        time_s = float(ticks * stream.tick_s)
        if abs(time_s) > MAX_TIME_S:
            packet.pts = packet.dts = None
            return stream
        if stream.is_reordered(packet):
            stream.count += 1
            return stream
        span_s = stream.span_s
        if span_s is None or not -FALL_S <= time_s - span_s[1] <= MAX_STEP_S:
            span_s = self._enter(index, stream, self._segment_at(index, stream, time_s), time_s)
        stream.count += 1
        span_s[1] = time_s
        return stream

    def _enter(self, index: int, stream: StreamState, segment: int, time_s: float) -> list[float]:
        if segment != stream.segment or stream.span_s is None:
            stream.segment, stream.count = segment, 0
            stream.span_s = self.segments[segment].spans_s.setdefault(index, [time_s, time_s])
        return stream.span_s

    def _segment_at(self, index: int, stream: StreamState, time_s: float) -> int:
        own, last = stream.segment, len(self.segments) - 1
        for number in range(last, max(own, last - LOOK_BACK_SEGMENTS), -1):
            if self.segments[number].contains(time_s):
                return number
        if stream.span_s is None:
            return last
        before = self.segments[own].before
        is_short = own and stream.count <= MAX_EXCURSION_PACKETS
        if is_short and self._continues(self.segments[before], index, time_s):
            self.segments[own].damaged = True
            return before
        return self._same_or_new(index, stream, stream.span_s[1], time_s)

    def _continues(self, segment: ClockSegment, index: int, time_s: float) -> bool:
        """Return whether a timestamp continues those of the stream in a segment."""
        span_s = segment.spans_s.get(index)
        return span_s is not None and -FALL_S <= time_s - span_s[1] <= MAX_STEP_S

    def _same_or_new(self, index: int, stream: StreamState, latest_s: float, time_s: float) -> int:
        spans_s = self.segments[stream.segment].spans_s
        step_s = time_s - latest_s
        others_s = [latest for other, (_, latest) in spans_s.items() if other != index]
        if step_s > 0 and any(time_s <= latest + MAX_STEP_S for latest in others_s):
            return stream.segment
        ahead_s = time_s - max([latest_s, *others_s])
        joined = step_s < 0 or ahead_s > self._rise_s
        number = len(self.segments)
        recording = number if joined else self.segments[stream.segment].recording
        self.segments.append(ClockSegment(stream.segment, step_s, joined, recording))
        return number
