"""Packets that a file has lost without a word from its demuxer."""

from __future__ import annotations

import av
from av.container import InputContainer

from vacli.media.clock_segments import SENDERS_CLOCK

# Containers in which packets lie one behind the other with little between them.
WITHOUT_GAPS = {"matroska,webm", "flv", "ivf"}
GAP_BYTES = 512
# MPEG-1 and 2 code every frame; one may be shown for a half longer. In transport and programme streams others
# do so too if they did for a while.
STEADY_CODECS = {"mpeg1video", "mpeg2video"}
STEADY_FRAMES = 12
SETTLED_FRAMES = 3  # the first stamps of a stream cut in mid-air are guesses
JITTER_FRAMES = 0.1
HOLE_FRAMES = 0.75


class Missing:
    """Says where something is missing; every packet passes, in file order."""

    def __init__(self, container: InputContainer, stream: av.VideoStream) -> None:
        self._by_position = container.format.name in WITHOUT_GAPS
        always = stream.codec_context.name in STEADY_CODECS
        self._by_time = always or container.format.name in SENDERS_CLOCK
        self._least_steady = SETTLED_FRAMES if always else STEADY_FRAMES
        self._stream = stream.index
        self._position = -1
        self._end: int | None = None
        self._due: int | None = None  # dts of the next packet
        self._steady = 0  # packets in a row that came when they were due

    def before(self, packet: av.Packet) -> bool:
        """Whether something is missing between this packet and the one before it."""
        if not packet.size:
            return False
        return (self._by_position and self._gap(packet)) or (self._by_time and self._hole(packet))

    def _gap(self, packet: av.Packet) -> bool:
        """Bytes that belong to no packet. Packets of one block have the block's position."""
        position, end = packet.pos, self._end
        if position is None or position < 0:
            return False
        same_block = position == self._position
        self._position = position
        self._end = (end if same_block else position) + packet.size
        return end is not None and not same_block and position > end + GAP_BYTES

    def _hole(self, packet: av.Packet) -> bool:
        """A step of the clock over frames that must have been there."""
        if packet.stream.index != self._stream or packet.dts is None or not packet.duration:
            return False
        late = 0.0 if self._due is None else (packet.dts - self._due) / packet.duration
        steady = self._steady >= self._least_steady
        self._due = packet.dts + packet.duration
        self._steady = self._steady + 1 if abs(late) < JITTER_FRAMES else 0
        return steady and late > HOLE_FRAMES
