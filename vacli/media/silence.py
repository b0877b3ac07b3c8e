"""Silence detection, and the gain for faint recordings."""

from __future__ import annotations

import math

import numpy as np

from vacli.files import scratch

QUANTIZATION_STEP = 1.0 / 32768  # of 16-bit audio
# Dithered digital silence stays within this range over a block, also after a lossy codec and resampling. No
# microphone signal does. A constant is silence too.
SILENCE_RANGE = 4 * QUANTIZATION_STEP
MIN_SILENCE_S = 2.0  # a shorter silence is a pause between words that a noise gate has muted
MIN_AUDIBLE_S = 0.25  # about one syllable
BLOCK_S = 0.01
# The level is the root mean square of one block in dB of full scale: of the block of rank LEVEL_RANK, or of
# the upper quarter of a short recording, so that a knock on the microphone does not set it. The outputs of
# the bundled models hardly depend on the level above FAINT_DB, where nearly all of their training data lie,
# and they take fainter speech for noise.
LEVEL_BLOCK_S, LEVEL_RANK = 0.4, 5
FAINT_DB, FULL_GAIN_DB, TARGET_DB = -55.0, -57.0, -35.0
MAX_GAIN_DB = 60.0

Spans = tuple[tuple[float, float], ...]


def audible_spans(samples: np.ndarray, rate_hz: int, present: Spans) -> Spans:
    """Remove silences from spans (start_s, end_s), and what is shorter than MIN_AUDIBLE_S.

    samples: (S,) float32. A recording without any louder block is silent as a whole; in others, silences
    shorter than MIN_SILENCE_S are kept.
    """
    spans = np.array(present, np.float64).reshape(-1, 2)
    block = round(BLOCK_S * rate_hz)
    silent = silent_blocks(samples, block)
    if silent.all():
        return ()
    inside = _blocks_inside(spans * rate_hz, len(samples), block)
    silences_s = _true_runs(silent & inside, round(MIN_SILENCE_S / BLOCK_S)) * BLOCK_S
    return _drop_short(_subtract(spans, silences_s))


def gain_db(samples: np.ndarray, rate_hz: int, audible: Spans) -> float:
    """Return the gain for a faint recording in dB; 0 for one of a usual level, or without audible spans.

    The gain grows from 0 at FAINT_DB to the one that gives TARGET_DB, for all levels below FULL_GAIN_DB.
    """
    audible_s = sum(end_s - start_s for start_s, end_s in audible)
    if not audible_s:
        return 0.0
    return faint_gain_db(block_powers(samples, rate_hz), audible_s)


def faint_gain_db(powers: np.ndarray, audible_s: float) -> float:
    """As `gain_db`, from the `block_powers` (N,) of a recording, N at least 1, and its audible seconds."""
    rank = min(LEVEL_RANK, math.ceil(audible_s / LEVEL_BLOCK_S / 4), len(powers))
    level_db = 10 * float(np.log10(np.partition(powers, -rank)[-rank] + 1e-20))
    if level_db >= FAINT_DB:
        return 0.0
    fraction = min((FAINT_DB - level_db) / (FAINT_DB - FULL_GAIN_DB), 1.0)
    return min(fraction * (TARGET_DB - level_db), MAX_GAIN_DB)


def mean_squares(parts: np.ndarray) -> np.ndarray:
    """Return the mean square of each row of (N, S) samples, (N,) float64."""
    squares = [np.einsum("ij,ij->i", p, p, dtype=np.float64) for _, p in scratch.blocks(parts)]
    return np.concatenate([np.zeros(0), *squares]) / parts.shape[1]


def silent_blocks(samples: np.ndarray, block: int) -> np.ndarray:
    """Return which blocks of `block` samples stay within SILENCE_RANGE; the last one may be shorter."""
    if not len(samples):
        return np.zeros(0, bool)
    ranges = []
    for _, part in scratch.blocks(samples, block):
        starts = np.arange(0, len(part), block)
        ranges.append(np.maximum.reduceat(part, starts) - np.minimum.reduceat(part, starts))
    return np.concatenate(ranges) <= SILENCE_RANGE


def _blocks_inside(spans: np.ndarray, size: int, block: int) -> np.ndarray:
    """Return which blocks lie completely in one of the spans (in samples)."""
    count = -(-size // block)
    change = np.zeros(count + 1, np.int64)
    first = np.ceil(spans[:, 0] / block - 1e-6).astype(np.int64).clip(0, count)
    end = np.floor(spans[:, 1] / block + 1e-6).astype(np.int64).clip(0, count)
    longer = end > first
    np.add.at(change, first[longer], 1)
    np.add.at(change, end[longer], -1)
    return np.cumsum(change)[:count] > 0


def _true_runs(flags: np.ndarray, min_length: int) -> np.ndarray:
    """Return first and end of each run of true flags of at least `min_length`, (K, 2)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    runs = edges.reshape(-1, 2)
    return runs[runs[:, 1] - runs[:, 0] >= min_length]


def _subtract(spans: np.ndarray, silences_s: np.ndarray) -> np.ndarray:
    """Return spans (N, 2) without silences (K, 2), each of which lies in one span."""
    kept = spans[spans[:, 1] > spans[:, 0]]
    for first_s, end_s in silences_s:
        at = int(np.searchsorted(kept[:, 0], first_s + BLOCK_S, side="right")) - 1
        parts = np.array([[kept[at, 0], first_s], [end_s, kept[at, 1]]])
        kept = np.concatenate([kept[:at], parts[parts[:, 1] > parts[:, 0]], kept[at + 1 :]])
    return kept


def _drop_short(spans: np.ndarray) -> Spans:
    """Drop groups of spans, less than MIN_AUDIBLE_S apart, that are shorter than it in total."""
    far = spans[1:, 0] - spans[:-1, 1] >= MIN_AUDIBLE_S
    group = np.concatenate([[0], np.cumsum(far)]).astype(np.int64)[: len(spans)]
    long = np.bincount(group, np.diff(spans, axis=1)[:, 0]) >= MIN_AUDIBLE_S - 1e-6
    return tuple((float(a), float(b)) for a, b in spans[long[group]])


def block_powers(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """(N,) the mean squares of blocks of LEVEL_BLOCK_S; shorter audio is one block."""
    block = round(LEVEL_BLOCK_S * rate_hz)
    parts = samples[: len(samples) // block * block].reshape(-1, block)
    parts = parts if len(parts) else samples[np.newaxis]
    return mean_squares(parts)
