"""Packets that a file has lost without a word from its demuxer."""

from __future__ import annotations

import av
from av.container import InputContainer

# Containers in which packets lie one behind the other with little between them.
WITHOUT_GAPS = {"matroska,webm", "flv", "ivf"}
GAP_BYTES = 512
STEADY_CODECS = {"mpeg1video", "mpeg2video"}  # every frame is coded; one may be shown for a half longer
HOLE_FRAMES = 1.75


class Missing:
    """Says where something is missing; every packet passes, in file order."""

    def __init__(self, container: InputContainer, stream: av.VideoStream) -> None:
        self._by_position = container.format.name in WITHOUT_GAPS
        self._by_time = stream.codec_context.name in STEADY_CODECS
        self._stream = stream.index
        self._position = -1
        self._end: int | None = None
        self._latest_dts: float | None = None  # of the next packet

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
        latest, self._latest_dts = self._latest_dts, packet.dts + packet.duration * HOLE_FRAMES
        return latest is not None and packet.dts > latest
