"""The clock of a live stream: jumps of the sender's clock are removed, and delays of arrival are measured."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import av
from av.container import InputContainer

from vacli.media.clock_segments import MAX_STEP_S, ClockSegmenter
from vacli.media.container import tick_of

MAX_SKEW_S = 1.0  # of the steps of the sender's and the local clock; more is a jump of the sender's clock
FRAME_S = 1 / 25  # from the last packet before a jump to the first one after it, if the pace is unknown
N_MINIMA = 30  # seconds over which the shortest delay is taken: clocks drift by less than 5 ms in this time


class LiveClock:
    """Changes the timestamps of packets to one continuous clock, in the order of arrival.

    After a jump of the sender's clock, time continues from the last packet: by the local clock if the source
    is in real time. A gap in which the sender's clock ran is kept. `n_jumps` counts the jumps.
    """

    def __init__(self, container: InputContainer, is_realtime: bool) -> None:
        self._segmenter = ClockSegmenter(container)
        self._is_realtime = is_realtime
        self._offsets_s = {0: 0.0}
        self._latest: dict[int, tuple[float, float]] = {}  # stream -> time, arrival
        self.n_jumps = 0
        self.jump_s: float | None = None

    def rebase(self, packet: av.Packet[Any]) -> None:
        """Change the timestamps of a packet that has just arrived."""
        stream = self._segmenter.assign(packet)
        ticks = packet.dts if packet.dts is not None else packet.pts
        if stream is None or ticks is None:
            return
        arrival_s, index = time.monotonic(), packet.stream.index
        tick_s = float(stream.tick_s)
        if stream.segment not in self._offsets_s:
            self._add_segment(stream.segment, index, ticks * tick_s, arrival_s)
        offset_s = self._offsets_s[stream.segment]
        self._latest[index] = (ticks * tick_s + offset_s, arrival_s)
        if offset_s:
            moved = round(offset_s / tick_s)
            packet.pts = None if packet.pts is None else packet.pts + moved
            packet.dts = None if packet.dts is None else packet.dts + moved

    def _add_segment(self, number: int, stream: int, sent_s: float, arrival_s: float) -> None:
        """Set the offset of a new segment of the clock from its first packet."""
        segment = self._segmenter.segments[number]
        offset_s = self._offsets_s.get(segment.before, 0.0)
        last_s, last_arrival_s = self._latest.get(stream) or max(self._latest.values())
        waited_s = arrival_s - last_arrival_s if self._is_realtime else FRAME_S
        skew_s = sent_s + offset_s - last_s - waited_s
        if segment.joined or (self._is_realtime and abs(skew_s) > MAX_SKEW_S):
            offset_s -= skew_s
            self.n_jumps += 1
            self.jump_s = sent_s + offset_s
        self._offsets_s[number] = offset_s


class ArrivalDelay:
    """Estimates when frames were captured, on the local clock.

    The frame that arrived with the shortest delay defines the offset between both clocks; the delay of all
    others is longer. It is the shortest one over the last N_MINIMA seconds.
    """

    def __init__(self) -> None:
        self._minima: deque[tuple[int, float]] = deque(maxlen=N_MINIMA)  # second, offset

    def captured_s(self, time_s: float, arrival_s: float) -> float:
        """Return the local time at which a frame was captured; it is not later than its arrival."""
        second, offset_s = int(arrival_s), arrival_s - time_s
        if self._minima and self._minima[-1][0] == second:
            offset_s = min(offset_s, self._minima.pop()[1])
        self._minima.append((second, offset_s))
        return time_s + min(offset for _, offset in self._minima)


def clock_origin_s(packet: av.Packet[Any], arrival_s: float) -> float | None:
    """Return the local time of zero on the clock of a device, None for a packet without a timestamp.

    A capture library that stamps by the wall clock gives it exactly; else it follows from the arrival.
    """
    if packet.pts is None:
        return None
    tick_s = float(tick_of(packet.stream))
    start_s, length_s = packet.pts * tick_s, (packet.duration or 0) * tick_s
    wall_s = time.time()
    if abs(start_s - wall_s) < MAX_STEP_S:
        return arrival_s - wall_s
    return arrival_s - start_s - length_s
