"""Sound as mono 16 kHz on the clock of the frames."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vacli.errors import InputError
from vacli.media.audio_pieces import RATE_HZ, Pieces
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


def read_sound(path: Path) -> Sound | None:
    """A file's sound, as long as its picture or itself, whichever ends later; None without a sound stream.

    What lies before time 0 (encoder priming) is dropped. A hole in the timestamps stays a hole: zeros,
    and a gap in `present`.
    Raises InputError if the file cannot be read, or if it is sound alone and none of it decodes.
    """
    with opened(path) as container:
        stream = sound_stream(container)
        if stream is None:
            return None
        pieces = Pieces(container, stream, picture_stream(container))
        samples = np.zeros(round((container.duration or 0) / 1e6 * RATE_HZ) + RATE_HZ, dtype=np.float32)
        spans: list[tuple[int, int]] = []
        for piece in pieces:
            if piece.end > len(samples):
                samples = np.concatenate([samples, np.zeros(max(piece.end, RATE_HZ * 60), dtype=np.float32)])
            samples[piece.first : piece.end] = piece.samples
            _extend(spans, piece.first, piece.end)
    heard = spans[-1][1] if spans else 0
    if not heard and pieces.picture_end_s == 0:
        raise InputError(f"{path}: none of its sound can be decoded ({pieces.broken or 'it holds none'})")
    length = max(heard, math.ceil(pieces.picture_end_s * RATE_HZ))
    present = tuple((first / RATE_HZ, end / RATE_HZ) for first, end in spans)
    return Sound(_cut_or_pad(samples, length), RATE_HZ, present, pieces.broken)


def _extend(spans: list[tuple[int, int]], first: int, end: int) -> None:
    """Add a stretch of samples to the last span, or as a new one behind a hole."""
    if spans and first - spans[-1][1] <= SHORTEST_HOLE_S * RATE_HZ:
        spans[-1] = (spans[-1][0], end)
    else:
        spans.append((first, end))


def _cut_or_pad(samples: np.ndarray, length: int) -> np.ndarray:
    return samples[:length] if len(samples) >= length else np.pad(samples, (0, length - len(samples)))
