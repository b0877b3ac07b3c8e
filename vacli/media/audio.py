"""Sound as mono 16 kHz on the clock of the frames."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vacli.errors import InputError
from vacli.media.audio_pieces import RATE_HZ, Piece, Pieces
from vacli.media.container import opened, picture_stream, sound_stream

# Shorter holes are bridged with zeros and still count as sound.
SHORTEST_HOLE_S = 0.020

Spans = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Sound:
    """Mono sound whose sample k belongs to the time k / rate_hz on the clock of the frames.

    samples: (S,) float32, zeros where the stream has nothing. present: (start_s, end_s) of what is really
    there, ascending. broken: where decoding failed, or None.
    """

    samples: np.ndarray
    rate_hz: int
    present: Spans
    broken: str | None = None

    @property
    def duration_s(self) -> float:
        """Length, silence included."""
        return len(self.samples) / self.rate_hz

    def ok_at(self, times_s: np.ndarray) -> np.ndarray:
        """Whether there is sound at each time. times_s: (N,) seconds. Returns: (N,) bool."""
        times_s = np.asarray(times_s, dtype=np.float64)
        spans = np.array(self.present, dtype=np.float64).reshape(-1, 2)
        last = np.searchsorted(spans[:, 0], times_s, side="right") - 1
        return times_s < np.append(spans[:, 1], -np.inf)[last]

    def around(self, times_s: np.ndarray, margin_s: float) -> tuple[Sound, float]:
        """The part that covers ascending times (N,) and `margin_s` to each side, and the time of its first
        sample: a multiple of 10 ms, so that analysis frames lie as in the whole. A hole may cut it short."""
        zero_s = max(math.floor((times_s[0] - margin_s) * 100), 0) / 100
        first, end = round(zero_s * self.rate_hz), math.ceil((times_s[-1] + margin_s) * self.rate_hz)
        samples = self.samples[first:end]
        length_s = len(samples) / self.rate_hz
        spans = ((max(a - zero_s, 0.0), min(b - zero_s, length_s)) for a, b in self.present)
        return Sound(samples, self.rate_hz, tuple((a, b) for a, b in spans if b > a)), zero_s


class SoundBlocks:
    """A file's sound in blocks of equal length, for what must not hold an hour of it at once.

    Iterating gives (samples,) float32 arrays that follow each other from time 0 on, zeros where the stream
    has nothing; the last one may be shorter. Afterwards `present` and `broken` are as in `Sound`. The whole
    is as long as the picture or the sound, whichever ends later; what lies before time 0 (encoder priming)
    is dropped.
    Raises InputError if the file has no sound stream, or if it is sound alone and none of it decodes.
    """

    def __init__(self, path: Path, block_s: float = 60.0) -> None:
        self.path = path
        self.present: Spans = ()
        self.broken: str | None = None
        self._block = round(block_s * RATE_HZ)

    def __iter__(self) -> Iterator[np.ndarray]:
        spans: list[tuple[int, int]] = []
        first, block = 0, np.zeros(self._block, dtype=np.float32)
        with opened(self.path) as container:
            stream = sound_stream(container)
            if stream is None:
                raise InputError(f"{self.path}: has no sound stream")
            pieces = Pieces(container, stream, picture_stream(container))
            for piece in pieces:
                _extend(spans, piece.first, piece.end)
                while piece.end > first + self._block:
                    _lay(piece, block, first)
                    yield block
                    first, block = first + self._block, np.zeros(self._block, dtype=np.float32)
                _lay(piece, block, first)
        heard = spans[-1][1] if spans else 0
        self.broken = pieces.broken
        self.present = tuple((begin / RATE_HZ, end / RATE_HZ) for begin, end in spans)
        if not heard and pieces.picture_end_s == 0:
            raise InputError(f"{self.path}: none of its sound decodes ({self.broken or 'it holds none'})")
        left = max(heard, math.ceil(pieces.picture_end_s * RATE_HZ)) - first
        while left > 0:
            yield block[:left]
            left, block = left - self._block, np.zeros(self._block, dtype=np.float32)


def read_sound(path: Path) -> Sound | None:
    """A file's sound in one piece; None without a sound stream.

    A hole in the timestamps stays a hole: zeros, and a gap in `present`. Raises InputError as `SoundBlocks`.
    """
    with opened(path) as container:
        if sound_stream(container) is None:
            return None
    blocks = SoundBlocks(path)
    samples = np.zeros(0, dtype=np.float32)
    for block in blocks:
        start = len(samples)
        samples.resize(start + len(block), refcheck=False)  # in place: no second copy of an hour of sound
        samples[start:] = block
    return Sound(samples, RATE_HZ, blocks.present, blocks.broken)


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
