"""A file's sound, block by block."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from vacli.errors import InputError
from vacli.media.audio_gaps import Cut, HoleCutter, own_times
from vacli.media.audio_segments import RATE_HZ, SHORTEST_HOLE_S, Piece, Pieces
from vacli.media.audio_tracks import Track, chosen_track
from vacli.media.container import opened, picture_stream
from vacli.media.polarity import Signs
from vacli.media.silence import Spans

LONGEST_TAIL_S = 5.0  # of zeros behind the sound, where the picture goes on


class SoundBlocks:
    """A file's sound in blocks of equal length, for what must not hold an hour of it at once.

    Iterating gives (samples,) float32 arrays that follow each other from time 0 on, zeros where the stream
    has nothing; the last one may be shorter. Afterwards `present`, `cuts`, `broken` and `notes` are as in
    `Sound`, and `signs` says in which batches channels cancel each other: given to another one, these are
    inverted. The whole is as long as the picture or the sound, whichever ends later, but no longer than
    LONGEST_TAIL_S behind the sound; what lies before time 0 (encoder priming) is dropped.
    Raises InputError if the file has no sound stream, or if it is sound alone and none of it decodes.
    """

    def __init__(
        self,
        path: Path,
        block_s: float = 60.0,
        track: Track | None = None,
        signs: Sequence[Signs] = (),
    ) -> None:
        self.path = path
        self.present: Spans = ()
        self.cuts: tuple[Cut, ...] = ()
        self.broken: str | None = None
        self.notes: tuple[str, ...] = ()
        self.signs: Sequence[Signs] = signs
        self._track = track
        self._block = round(block_s * RATE_HZ)

    def __iter__(self) -> Iterator[np.ndarray]:
        track = self._track or chosen_track(self.path)
        if track is None:
            raise InputError(f"{self.path}: has no sound stream that can be decoded")
        with opened(self.path) as container:
            stream = container.streams[track.stream_index]
            pieces = Pieces(container, stream, picture_stream(container), self.signs)
            yield from self._laid(pieces)

    def _laid(self, pieces: Pieces) -> Iterator[np.ndarray]:
        spans: list[tuple[int, int]] = []
        holes = HoleCutter(RATE_HZ)
        first, block = 0, np.zeros(self._block, dtype=np.float32)
        for piece in pieces:
            piece = Piece(holes.closed(piece.first, piece.end), piece.samples)
            _extend(spans, piece.first, piece.end)
            while piece.end > first + self._block:
                _lay(piece, block, first)
                yield block
                first, block = first + self._block, np.zeros(self._block, dtype=np.float32)
            _lay(piece, block, first)
        self._note(pieces, holes, spans)
        left = self._end(pieces, spans) - first
        while left > 0:
            yield block[:left]
            left, block = left - self._block, np.zeros(self._block, dtype=np.float32)

    def _note(self, pieces: Pieces, holes: HoleCutter, spans: list[tuple[int, int]]) -> None:
        self.broken, self.cuts = pieces.broken, holes.cuts
        self.notes = pieces.notes + holes.notes
        self.signs = self.signs or pieces.phases.signs()
        self.present = tuple((begin / RATE_HZ, end / RATE_HZ) for begin, end in spans)
        if not spans and pieces.picture_end_s == 0:
            raise InputError(f"{self.path}: none of its sound decodes ({self.broken or 'it holds none'})")

    def _end(self, pieces: Pieces, spans: list[tuple[int, int]]) -> int:
        """The sample at which the whole ends."""
        heard = spans[-1][1] if spans else 0
        picture_end_s = float(own_times(self.cuts, np.array([pieces.picture_end_s]))[0])
        return max(heard, min(math.ceil(picture_end_s * RATE_HZ), heard + round(LONGEST_TAIL_S * RATE_HZ)))


def _lay(piece: Piece, block: np.ndarray, first: int) -> None:
    """Write what a piece has for a block that starts at sample `first`."""
    start, end = max(piece.first, first), min(piece.end, first + len(block))
    if start < end:
        block[start - first : end - first] = piece.samples[start - piece.first : end - piece.first]


def _extend(spans: list[tuple[int, int]], first: int, end: int) -> None:
    """Add a stretch of samples to the last span, or as a new one behind a hole."""
    if spans and first - spans[-1][1] <= SHORTEST_HOLE_S * RATE_HZ:
        spans[-1] = (spans[-1][0], end)
    else:
        spans.append((first, end))
