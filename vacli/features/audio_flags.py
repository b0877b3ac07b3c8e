"""Flags of the rows of audio features, by the same rule for every extractor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vacli.features.flags import MISSING, PADDED, SILENT
from vacli.files import scratch
from vacli.media.audio import EXCERPT_GRID_S

if TYPE_CHECKING:
    from vacli.features.protocols import AudioExtractor
    from vacli.media.audio import Sound

_BLOCK = 16  # samples: silence is measured by the millisecond
_QUIET = 0.5 / 32768  # below half a step of 16-bit sound
_SLACK_S = 1e-6


@dataclass(frozen=True, kw_only=True)
class TemporalContext:
    """The sound that a row depends on: seconds before and after its frame's time.

    grid_s: analysis windows begin at multiples of it on the sound's clock.
    """

    before_s: float
    after_s: float
    grid_s: float = EXCERPT_GRID_S


def _padded(sound: Sound, start_s: np.ndarray, end_s: np.ndarray) -> np.ndarray:
    """Whether a window is not wholly inside one span of sound."""
    inside = np.zeros(len(start_s), dtype=bool)
    for first_s, last_s in sound.present:
        inside |= (start_s >= first_s - _SLACK_S) & (end_s <= last_s + _SLACK_S)
    return ~inside


def _silent(sound: Sound, start_s: np.ndarray, end_s: np.ndarray) -> np.ndarray:
    """Whether a window holds only digital silence."""
    peaks = [
        np.maximum.reduceat(np.abs(part), np.arange(0, len(part), _BLOCK))
        for _, part in scratch.blocks(sound.samples, _BLOCK)
    ]
    loud = np.concatenate(peaks) >= _QUIET
    loud_before = np.zeros(len(loud) + 1, np.int32)
    np.cumsum(loud, out=loud_before[1:])
    per_s = sound.rate_hz / _BLOCK
    first = np.floor(start_s * per_s + 1e-6).clip(0, len(loud)).astype(np.int64)
    last = np.ceil(end_s * per_s - 1e-6).clip(0, len(loud)).astype(np.int64)
    return loud_before[np.maximum(last, first)] == loud_before[first]


def sound_flags(
    sound: Sound, times_s: np.ndarray, context: TemporalContext, values: np.ndarray
) -> np.ndarray:
    """Flags of an audio extractor's rows.

    times_s: (N,) seconds on the sound's clock. values: (N, D) as extracted.
    Returns: (N,) uint8; a MISSING row has no other flag.
    """
    start_s, end_s = times_s - context.before_s, times_s + context.after_s
    flags = np.where(_padded(sound, start_s, end_s), PADDED, 0)
    if len(sound.samples):
        flags |= np.where(_silent(sound, start_s, end_s), SILENT, 0)
    missing = [np.isnan(rows).all(axis=1) for _, rows in scratch.blocks(values)]
    return np.where(np.concatenate([np.zeros(0, bool), *missing]), MISSING, flags).astype(np.uint8)


def rows_and_flags(
    extractor: AudioExtractor, sound: Sound | None, times_s: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The rows and flags of a video, as they are stored.

    sound: None where the file has no sound. times_s: (N,) seconds.
    Returns: (N, dim) float32 and (N,) uint8.
    """
    if sound is None or len(sound.samples) == 0:
        missing = scratch.missing_rows(len(times_s), extractor.spec.dim)
        return missing, np.full(len(times_s), MISSING, np.uint8)
    own_s = sound.to_audio_clock(times_s)
    values = extractor.extract(sound, own_s)
    return values, sound_flags(sound, own_s, extractor.context, values)
