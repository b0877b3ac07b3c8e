"""Which decoded pictures are whole.

A damaged picture spoils all that are predicted from it, and a decoder marks the first one only. So after
damage no picture is whole until a key frame; where key frames are spread over many frames (intra refresh),
until a refresh that began after the damage is complete, which the start of the next one tells. Only B
pictures of codecs that never predict from them are damaged alone.

Damage is what decoders and containers mark, what does not decode, what `missing` finds, and a run of zeros in
a packet of a codec that cannot write one. A changed bit in arithmetic coding, VP8's and VP9's above all, may
decode to other pixels without any mark; nothing short of a checksum would tell.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import av
from av.container import InputContainer

from vacli.media.container import careful, clock_zero_s, decoded, joined_clock, packets_of, shown_at_s
from vacli.media.joined_clock import JoinedClock
from vacli.media.packet_loss import Missing

I_PICTURE, B_PICTURE = 1, 3  # AVPictureType
DEEPEST_REORDERING = 16  # pictures, of H.264 and HEVC
B_IS_NO_REFERENCE = {"mpeg1video", "mpeg2video", "mpeg4"}
# Before the first key frame these decoders give grey pictures with smears; the others wait for it.
STARTS_ANYWHERE = {"mpeg4", "h263", "flv1", "msmpeg4v1", "msmpeg4v2", "msmpeg4v3", "wmv1", "wmv2"}
MARKED_EARLY = 2  # packets, by which a parser may lay a transport stream's mark before the damage
ZEROS = bytes(32)
NO_ZEROS = {"vp6", "vp6f", "vp6a", "vp8", "vp9", "av1"}  # arithmetic coding from the first to the last byte
# In MP4 and Matroska, but for the end, where some encoders fill up; elsewhere zeros may lie between units.
NO_ZEROS_IF_SIZED = {"h264", "hevc"}


def judged_pictures(
    container: InputContainer, stream: av.VideoStream, lost: list[str]
) -> Iterator[tuple[av.VideoFrame, bool]]:
    """Decoded pictures in display order, and of each whether it is whole.

    Reading goes on behind what does not decode; `lost` says so.
    """
    judge = Judge(careful(stream), clock_zero_s(container), lost)
    missing = Missing(container, stream)
    clock = joined_clock(container)
    for packet in _unmarked_at_seams(packets_of(container, [], lost, clock), stream, clock):
        if missing.before(packet):
            judge.miss()
        if packet.stream.index != stream.index:
            continue
        judge.feed(packet)
        known = len(lost)
        pictures = decoded(packet, lost)
        if len(lost) > known:
            judge.fail()
        for picture in pictures:
            yield from judge.take(picture)
    yield from judge.rest()


def _unmarked_at_seams(
    packets: Iterator[av.Packet], stream: av.VideoStream, clock: JoinedClock
) -> Iterator[av.Packet]:
    """Take marks of damage away from the last packets before a seam: they come from the seam alone."""
    held: list[av.Packet] = []
    recording = 0
    for packet in packets:
        if packet.stream.index != stream.index:
            yield packet
            continue
        before, recording = recording, clock.recording_of(stream)
        for marked in held if recording != before else ():
            marked.is_corrupt = False
        held.append(packet)
        if recording != before or not packet.size or not held[0].is_corrupt or len(held) > MARKED_EARLY:
            yield from held
            held = []
    yield from held


class Judge:
    """Says of pictures in display order whether they are whole, by the order in which they were decoded.

    A B picture is decoded after a later one that it is predicted from, so it waits until that one is known.
    """

    def __init__(self, stream: av.VideoStream, zero_s: float, lost: list[str]) -> None:
        context = stream.codec_context
        self._lost, self._tick_s, self._zero_s = lost, stream.time_base, zero_s
        self._codec = context.name
        self._sized = self._codec in NO_ZEROS_IF_SIZED and (context.extradata or b"")[:1] == b"\x01"
        # Places in the order of decoding; one between two packets is half.
        self._damage: list[float] = [0] if self._codec in STARTS_ANYWHERE else []
        self._refreshes: deque[int] = deque(maxlen=2 * DEEPEST_REORDERING)  # places of key packets
        self._fed = 0
        self._places: dict[int, int] = {}  # pts -> place, of packets whose picture is still to come
        self._unnamed: deque[int] = deque()  # places of packets without a pts
        self._unplaced: list[av.VideoFrame] = []
        self._waiting: deque[tuple[av.VideoFrame, int]] = deque()

    def feed(self, packet: av.Packet) -> None:
        """Note a packet that goes into the decoder."""
        if not packet.size:
            return
        self._fed += 1
        if packet.is_keyframe:
            self._refreshes.append(self._fed)
        if packet.pts is None:
            self._unnamed.append(self._fed)
        else:
            self._places[packet.pts] = self._fed
        if packet.is_corrupt or self._has_zeros(packet):
            self._note(self._fed, "a packet", packet.pts)

    def _has_zeros(self, packet: av.Packet) -> bool:
        """Whether a packet has a run of zeros that its codec cannot have written."""
        if self._sized:
            return ZEROS in bytes(packet).rstrip(b"\0")
        return self._codec in NO_ZEROS and ZEROS in bytes(packet)

    def miss(self) -> None:
        """Note that something is missing in the file behind the packet fed last."""
        self._note(self._fed + 0.5, "a stretch of the file", None, "is missing or unreadable")

    def fail(self) -> None:
        """Note that the packet fed last does not decode."""
        self._damage.append(self._fed)
        if self._unnamed and self._unnamed[-1] == self._fed:
            self._unnamed.pop()

    def take(self, picture: av.VideoFrame) -> Iterator[tuple[av.VideoFrame, bool]]:
        """Take a picture from the decoder; give those whose state is known."""
        if picture.pts is None:
            self._unplaced.append(picture)
            if picture.pict_type != B_PICTURE or len(self._unplaced) > DEEPEST_REORDERING:
                self._place_unnamed()
        else:
            self._waiting.append((picture, self._places.pop(picture.pts, self._fed)))
            for pts in [pts for pts in self._places if pts < picture.pts]:
                del self._places[pts]  # it gave no picture
            self._look_at(*self._waiting[-1])
        while self._waiting and not self._must_wait():
            yield self._next()

    def rest(self) -> Iterator[tuple[av.VideoFrame, bool]]:
        """Give what still waits, at the end."""
        if self._unplaced:
            self._place_unnamed()
        while self._waiting:
            yield self._next()

    def _place_unnamed(self) -> None:
        """Place a run of B pictures and the one after it, which was decoded first."""
        *between, last = self._unplaced
        place_of_last = self._next_unnamed()
        placed = [(picture, self._next_unnamed()) for picture in between]
        for picture, place in [*placed, (last, place_of_last)]:
            self._look_at(picture, place)
            self._waiting.append((picture, place))
        self._unplaced = []

    def _next_unnamed(self) -> int:
        return self._unnamed.popleft() if self._unnamed else self._fed

    def _must_wait(self) -> bool:
        """Whether a picture that was decoded before the next one is still to come."""
        _, place = self._waiting[0]
        earlier = any(other < place for other in self._places.values())
        return earlier and len(self._waiting) <= DEEPEST_REORDERING

    def _look_at(self, picture: av.VideoFrame, place: int) -> None:
        harmless = picture.pict_type == B_PICTURE and self._codec in B_IS_NO_REFERENCE
        if picture.is_corrupt and not harmless:
            self._note(place, "a frame", picture.pts)

    def _note(self, place: float, what: str, pts: int | None, verdict: str = "is damaged") -> None:
        self._damage.append(place)
        near = "" if pts is None else f" near {shown_at_s(pts, self._tick_s, self._zero_s):.3f} s"
        self._lost.append(f"{what}{near} {verdict}")

    def _next(self) -> tuple[av.VideoFrame, bool]:
        picture, place = self._waiting.popleft()
        if self._damage:
            self._recover(picture, place)
        return picture, not picture.is_corrupt and not any(at <= place for at in self._damage)

    def _recover(self, picture: av.VideoFrame, place: int) -> None:
        """Forget the damage that a key frame ends, or a complete refresh."""
        if picture.key_frame and picture.pict_type == I_PICTURE:
            self._damage = [at for at in self._damage if at >= place]
        elif place in self._refreshes:
            begun = max((at for at in self._refreshes if at < place), default=0)
            self._damage = [at for at in self._damage if at >= begun]
