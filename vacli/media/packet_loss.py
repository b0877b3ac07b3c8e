"""Detection of packets that are missing in a file although its demuxer reports no error."""

from __future__ import annotations

from typing import Any

import av
from av.container import InputContainer

from vacli.media.clock_segments import SENDER_CLOCK_FORMATS

# Containers in which packets follow each other with few bytes between them.
CONTIGUOUS_FORMATS = {"matroska,webm", "flv", "ivf"}
MIN_GAP_BYTES = 512
# MPEG-1 and 2 encode every frame; one may be shown for a half longer. In transport and programme streams,
# streams of other codecs are steady if they were steady for a while.
STEADY_CODECS = {"mpeg1video", "mpeg2video"}
STEADY_FRAMES = 12
SETTLED_FRAMES = 3  # the first timestamps of a stream that was cut are guesses
JITTER_FRAMES = 0.1
MIN_GAP_FRAMES = 0.75


class PacketLossDetector:
    """Detects missing packets of a video stream; it needs every packet of the container, in file order."""

    def __init__(self, container: InputContainer, stream: av.VideoStream) -> None:
        self._by_position = container.format.name in CONTIGUOUS_FORMATS
        is_steady_codec = stream.codec_context.name in STEADY_CODECS
        self._by_time = is_steady_codec or container.format.name in SENDER_CLOCK_FORMATS
        self._min_steady = SETTLED_FRAMES if is_steady_codec else STEADY_FRAMES
        self._stream = stream.index
        self._position = -1
        self._end: int | None = None
        self._due: int | None = None  # dts of the next packet
        self._steady = 0  # consecutive packets with the expected dts

    def lost_before(self, packet: av.Packet[Any]) -> bool:
        """Return whether packets are missing between this one and the one before it."""
        if not packet.size:
            return False
        return (self._by_position and self._position_gap(packet)) or (
            self._by_time and self._time_gap(packet)
        )

    def _position_gap(self, packet: av.Packet[Any]) -> bool:
        """Return whether bytes belong to no packet. Packets of one block have the position of the block."""
        position, end = packet.pos, self._end
        if position is None or position < 0:
            return False
        same_block = position == self._position
        self._position = position
        self._end = (position if end is None or not same_block else end) + packet.size
        return end is not None and not same_block and position > end + MIN_GAP_BYTES

    def _time_gap(self, packet: av.Packet[Any]) -> bool:
        """Return whether the clock skips frames of a steady stream."""
        if packet.stream.index != self._stream or packet.dts is None or not packet.duration:
            return False
        late_frames = 0.0 if self._due is None else (packet.dts - self._due) / packet.duration
        is_steady = self._steady >= self._min_steady
        self._due = packet.dts + packet.duration
        self._steady = self._steady + 1 if abs(late_frames) < JITTER_FRAMES else 0
        return is_steady and late_frames > MIN_GAP_FRAMES
