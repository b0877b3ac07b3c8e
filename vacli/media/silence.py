"""What of a recording's samples is sound: not digital silence, not a snippet; and how loud it is."""

from __future__ import annotations

import math

import numpy as np

STEP = 1.0 / 32768  # of 16-bit sound
# Digital silence with its dither, through a lossy codec and another sample rate, stays within this range
# over a block; no microphone does. A constant is silence too.
SILENT_RANGE = 4 * STEP
SHORTEST_SILENCE_S = 2.0  # a shorter one is a pause between words that some noise gate has cleaned
SHORTEST_SOUND_S = 0.25  # less says nothing: about one syllable
BLOCK_S = 0.01
# A level is the root mean square of a loud block, in dB of full scale: of the one that LOUDEST - 1 others
# exceed, or a quarter of all, so that a knock on the microphone is none. The bundled models say much the same
# of speech at any level above QUIET_DB, where nearly all lies that they learned from, and of fainter speech
# that it is noise.
LEVEL_BLOCK_S, LOUDEST = 0.4, 5
QUIET_DB, FAINT_DB, USUAL_DB = -55.0, -57.0, -35.0
MOST_GAIN_DB = 60.0

Spans = tuple[tuple[float, float], ...]


def audible_spans(samples: np.ndarray, rate_hz: int, present: Spans) -> Spans:
    """The parts of `present` (seconds) that count as sound; exactly those where there is no long silence.

    samples: (S,) float32. All of a recording is silence where nothing in it is louder than digital silence.
    """
    spans = np.array(present, np.float64).reshape(-1, 2)
    block = round(BLOCK_S * rate_hz)
    quiet, inside = _quiet(samples, block), _inside(spans * rate_hz, len(samples), block)
    if quiet.all():
        return ()
    silences = _runs(quiet & inside, round(SHORTEST_SILENCE_S / BLOCK_S)) * BLOCK_S
    return _long_enough(_without(spans, silences))


def gain_db(samples: np.ndarray, rate_hz: int, audible: Spans) -> float:
    """By how much a faint recording is to be raised, in dB; 0 for one of a usual level, or without sound.

    The gain grows from none at QUIET_DB to what makes USUAL_DB of anything below FAINT_DB.
    """
    heard_s = sum(end_s - start_s for start_s, end_s in audible)
    if not heard_s:
        return 0.0
    rank = min(LOUDEST, math.ceil(heard_s / LEVEL_BLOCK_S / 4))
    level_db = _level_db(samples, round(LEVEL_BLOCK_S * rate_hz), rank)
    if level_db >= QUIET_DB:
        return 0.0
    part = min((QUIET_DB - level_db) / (QUIET_DB - FAINT_DB), 1.0)
    return min(part * (USUAL_DB - level_db), MOST_GAIN_DB)


def _quiet(samples: np.ndarray, block: int) -> np.ndarray:
    """Which blocks, the last one perhaps shorter, stay within SILENT_RANGE."""
    if not len(samples):
        return np.zeros(0, bool)
    starts = np.arange(0, len(samples), block)
    return np.maximum.reduceat(samples, starts) - np.minimum.reduceat(samples, starts) <= SILENT_RANGE


def _inside(spans: np.ndarray, size: int, block: int) -> np.ndarray:
    """Which blocks lie wholly in one of the spans (in samples)."""
    count = -(-size // block)
    change = np.zeros(count + 1, np.int64)
    first = np.ceil(spans[:, 0] / block - 1e-6).astype(np.int64).clip(0, count)
    end = np.floor(spans[:, 1] / block + 1e-6).astype(np.int64).clip(0, count)
    longer = end > first
    np.add.at(change, first[longer], 1)
    np.add.at(change, end[longer], -1)
    return np.cumsum(change)[:count] > 0


def _runs(flags: np.ndarray, shortest: int) -> np.ndarray:
    """(K, 2) first and end of the stretches of true flags that are not shorter."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    runs = edges.reshape(-1, 2)
    return runs[runs[:, 1] - runs[:, 0] >= shortest]


def _without(spans: np.ndarray, silences_s: np.ndarray) -> np.ndarray:
    """Spans (N, 2) less silences (K, 2), each of which lies in one span."""
    kept = spans[spans[:, 1] > spans[:, 0]]
    for first_s, end_s in silences_s:
        at = int(np.searchsorted(kept[:, 0], first_s + BLOCK_S, side="right")) - 1
        parts = np.array([[kept[at, 0], first_s], [end_s, kept[at, 1]]])
        kept = np.concatenate([kept[:at], parts[parts[:, 1] > parts[:, 0]], kept[at + 1 :]])
    return kept


def _long_enough(spans: np.ndarray) -> Spans:
    """Spans less those that, with their neighbours within SHORTEST_SOUND_S, are shorter than it."""
    far = spans[1:, 0] - spans[:-1, 1] >= SHORTEST_SOUND_S
    group = np.concatenate([[0], np.cumsum(far)]).astype(np.int64)[: len(spans)]
    long = np.bincount(group, np.diff(spans, axis=1)[:, 0]) >= SHORTEST_SOUND_S - 1e-6
    return tuple((float(a), float(b)) for a, b in spans[long[group]])


def _level_db(samples: np.ndarray, block: int, rank: int) -> float:
    """Of the block of that rank, the loudest one being 1; shorter sound is one block."""
    parts = samples[: len(samples) // block * block].reshape(-1, block)
    parts = parts if len(parts) else samples[np.newaxis]
    powers = np.einsum("ij,ij->i", parts, parts, dtype=np.float64) / parts.shape[1]
    rank = min(rank, len(powers))
    return 10 * float(np.log10(np.partition(powers, -rank)[-rank] + 1e-20))
