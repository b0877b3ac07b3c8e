"""Detection of damaged pictures.

A damaged picture spoils all pictures that are predicted from it, but a decoder marks only the first one. So
after damage all pictures are taken as damaged up to the next key frame. If key frames are spread over many
frames (intra refresh), they are taken as damaged until a refresh that began after the damage is complete,
which is at the start of the next refresh. Only B pictures of codecs that never predict from them do not spoil
others.

Damage is: a mark by decoder or container, a decoding error, a finding of `packet_loss`, a run of zeros in a
packet of a codec that cannot write one, and an error of libjpeg for a frame of Motion JPEG. A flipped bit in
arithmetic coding, mainly of VP8 and VP9, may decode to other pixels without any mark; it could be detected
with a checksum only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import av
from av.container import InputContainer

from vacli.media.container import (
    DECODER_ERRORS,
    clock_zero_s,
    decode_packet,
    demux_packets,
    make_joined_clock,
    strict_decoder,
    tick_of,
    to_seconds,
)
from vacli.media.joined_clock import JoinedClock
from vacli.media.jpeg import MotionJpegChecker
from vacli.media.packet_loss import PacketLossDetector

I_PICTURE, B_PICTURE = 1, 3  # AVPictureType
MAX_REORDERING = 16  # pictures, of H.264 and HEVC
B_IS_NO_REFERENCE = {"mpeg1video", "mpeg2video", "mpeg4"}
# Before the first key frame these decoders output grey pictures with smears; the others output nothing.
STARTS_ANYWHERE = {"mpeg4", "h263", "flv1", "msmpeg4v1", "msmpeg4v2", "msmpeg4v3", "wmv1", "wmv2"}
MAX_EARLY_MARK = 2  # packets by which a parser may set a transport stream's mark before the damage
ZEROS = bytes(32)
ARITHMETIC_CODECS = {"vp6", "vp6f", "vp6a", "vp8", "vp9", "av1"}  # their packets have no run of zeros
# In MP4 and Matroska these have none either, except for filler at the end; elsewhere zeros may separate
# units.
LENGTH_PREFIXED_CODECS = {"h264", "hevc"}


def decode_with_damage(
    container: InputContainer, stream: av.VideoStream, errors: list[str]
) -> Iterator[tuple[av.VideoFrame, bool]]:
    """Yield decoded pictures in display order, each with whether it is intact.

    Decoding continues after an error, which is appended to `errors`.
    """
    decoder = DamageAwareDecoder(container, stream, errors)
    clock = make_joined_clock(container)
    for packet in _unmark_at_joins(demux_packets(container, [], errors, clock), stream, clock):
        yield from decoder.add_packet(packet)
    yield from decoder.flush()


class DamageAwareDecoder:
    """Decodes a video stream; it needs every packet of the container, in order.

    Errors are appended to `errors`, from which a caller may remove them between two packets.
    """

    def __init__(self, container: InputContainer, stream: av.VideoStream, errors: list[str]) -> None:
        self._index, self._errors, self._stream = stream.index, errors, stream
        self._tracker = DamageTracker(strict_decoder(stream), clock_zero_s(container), errors)
        self._packet_loss = PacketLossDetector(container, stream)

    def add_packet(self, packet: av.Packet[Any]) -> Iterator[tuple[av.VideoFrame, bool]]:
        """Yield the pictures in display order whose state is now known, each with whether it is intact."""
        if self._packet_loss.lost_before(packet):
            self._tracker.add_loss()
        if packet.stream.index != self._index:
            return
        self._tracker.add_packet(packet)
        count = len(self._errors)
        pictures = decode_packet(packet, self._errors)
        if len(self._errors) > count:
            self._tracker.add_decode_error()
        for picture in pictures:
            yield from self._tracker.add_picture(picture)

    def flush(self) -> Iterator[tuple[av.VideoFrame, bool]]:
        """Yield the remaining pictures, also those in the decoder if the container ended with an error."""
        with suppress(*DECODER_ERRORS):  # the decoder is empty already
            for picture in self._stream.decode(None):
                yield from self._tracker.add_picture(picture)
        yield from self._tracker.flush()


def _unmark_at_joins(
    packets: Iterator[av.Packet[Any]], stream: av.VideoStream, clock: JoinedClock
) -> Iterator[av.Packet[Any]]:
    """Remove marks of damage from the last packets before a discontinuity, which is their only cause."""
    held: list[av.Packet[Any]] = []
    recording = 0
    for packet in packets:
        if packet.stream.index != stream.index:
            yield packet
            continue
        before, recording = recording, clock.recording_of(stream)
        for marked in held if recording != before else ():
            marked.is_corrupt = False
        held.append(packet)
        if recording != before or not packet.size or not held[0].is_corrupt or len(held) > MAX_EARLY_MARK:
            yield from held
            held = []
    yield from held


class DamageTracker:
    """Finds out which pictures in display order are intact, from the order in which they were decoded.

    A B picture is decoded after a later one that it is predicted from, so it waits for the state of that one.
    """

    def __init__(self, stream: av.VideoStream, zero_s: float, errors: list[str]) -> None:
        context = stream.codec_context
        self._errors, self._tick_s, self._zero_s = errors, tick_of(stream), zero_s
        self._codec = context.name
        has_prefix = (context.extradata or b"")[:1] == b"\x01"
        self._length_prefixed = self._codec in LENGTH_PREFIXED_CODECS and has_prefix
        self._jpeg = MotionJpegChecker() if self._codec == "mjpeg" else None
        # Positions in decoding order; one between two packets is a half.
        self._damage: list[float] = [0] if self._codec in STARTS_ANYWHERE else []
        self._refreshes: deque[int] = deque(maxlen=2 * MAX_REORDERING)  # positions of key packets
        self._count = 0  # packets so far
        self._positions: dict[int, int] = {}  # pts -> position, of packets whose picture is still to come
        self._untimed: deque[int] = deque()  # positions of packets without a pts
        self._untimed_pictures: list[av.VideoFrame] = []
        self._waiting: deque[tuple[av.VideoFrame, int]] = deque()

    def add_packet(self, packet: av.Packet[Any]) -> None:
        """Add a packet before it is decoded."""
        if not packet.size:
            return
        self._count += 1
        if packet.is_keyframe:
            self._refreshes.append(self._count)
        if packet.pts is None:
            self._untimed.append(self._count)
        else:
            self._positions[packet.pts] = self._count
        if packet.is_corrupt or self._has_zeros(packet) or self._is_damaged_jpeg(packet):
            self._add_damage(self._count, "a packet", packet.pts)

    def _has_zeros(self, packet: av.Packet[Any]) -> bool:
        """Return whether a packet has a run of zeros that its codec cannot have written."""
        if self._length_prefixed:
            return ZEROS in bytes(packet).rstrip(b"\0")
        return self._codec in ARITHMETIC_CODECS and ZEROS in bytes(packet)

    def _is_damaged_jpeg(self, packet: av.Packet[Any]) -> bool:
        return self._jpeg is not None and self._jpeg.is_damaged(bytes(packet))

    def add_loss(self) -> None:
        """Mark that packets are missing after the last one."""
        self._add_damage(self._count + 0.5, "a part of the file", None, "is missing or unreadable")

    def add_decode_error(self) -> None:
        """Mark that the last packet does not decode."""
        self._damage.append(self._count)
        if self._untimed and self._untimed[-1] == self._count:
            self._untimed.pop()

    def add_picture(self, picture: av.VideoFrame) -> Iterator[tuple[av.VideoFrame, bool]]:
        """Add a picture of the decoder; yield those whose state is known."""
        if picture.pts is None:
            self._untimed_pictures.append(picture)
            if picture.pict_type != B_PICTURE or len(self._untimed_pictures) > MAX_REORDERING:
                self._position_untimed()
        else:
            position = self._positions.pop(picture.pts, self._count)
            self._waiting.append((picture, position))
            for pts in [pts for pts in self._positions if pts < picture.pts]:
                del self._positions[pts]  # a packet without a picture
            self._check_mark(picture, position)
        while self._waiting and not self._must_wait():
            yield self._next()

    def flush(self) -> Iterator[tuple[av.VideoFrame, bool]]:
        """Yield the remaining pictures."""
        if self._untimed_pictures:
            self._position_untimed()
        while self._waiting:
            yield self._next()

    def _position_untimed(self) -> None:
        """Assign positions to a run of B pictures and the one after it, which was decoded first."""
        *between, last = self._untimed_pictures
        position_of_last = self._next_untimed()
        positioned = [(picture, self._next_untimed()) for picture in between]
        for picture, position in [*positioned, (last, position_of_last)]:
            self._check_mark(picture, position)
            self._waiting.append((picture, position))
        self._untimed_pictures = []

    def _next_untimed(self) -> int:
        return self._untimed.popleft() if self._untimed else self._count

    def _must_wait(self) -> bool:
        """Return whether a picture that was decoded before the next one is still to come."""
        _, position = self._waiting[0]
        has_earlier = any(other < position for other in self._positions.values())
        return has_earlier and len(self._waiting) <= MAX_REORDERING

    def _check_mark(self, picture: av.VideoFrame, position: int) -> None:
        is_harmless = picture.pict_type == B_PICTURE and self._codec in B_IS_NO_REFERENCE
        if picture.is_corrupt and not is_harmless:
            self._add_damage(position, "a frame", picture.pts)

    def _add_damage(self, position: float, subject: str, pts: int | None, state: str = "is damaged") -> None:
        self._damage.append(position)
        near = "" if pts is None else f" near {to_seconds(pts, self._tick_s, self._zero_s):.3f} s"
        self._errors.append(f"{subject}{near} {state}")

    def _next(self) -> tuple[av.VideoFrame, bool]:
        picture, position = self._waiting.popleft()
        if self._damage:
            self._drop_ended_damage(picture, position)
        is_intact = not picture.is_corrupt and not any(damaged <= position for damaged in self._damage)
        return picture, is_intact

    def _drop_ended_damage(self, picture: av.VideoFrame, position: int) -> None:
        """Drop the damage that ends with a key frame or a complete refresh."""
        if picture.key_frame and picture.pict_type == I_PICTURE:
            self._damage = [damaged for damaged in self._damage if damaged >= position]
        elif position in self._refreshes:
            begun = max((other for other in self._refreshes if other < position), default=0)
            self._damage = [damaged for damaged in self._damage if damaged >= begun]
