"""The latest seconds of a sound that is still arriving, on the clock of the frames."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vacli.media.audio import Sound
from vacli.media.audio_segments import RATE_HZ
from vacli.media.live_input import SoundBlock
from vacli.media.silence import LEVEL_BLOCK_S, MIN_SILENCE_S, Spans, faint_gain_db, silent_blocks
from vacli.media.sound_level import level_db
from vacli.media.speech_level import REFERENCE_S, SpeechLevel, band_power, level_of_power

GRID = 2560  # samples; a sound begins at a multiple of it, which is one of 10 ms and of 32 ms
TOLERANCE_S = 0.02  # by which a block may begin beside the end of the one before it
MAX_HOLE_S = 1.0  # a longer one begins a new sound
KEPT_S = 6.0  # of samples; more than a digital silence needs to be one, in sound ahead of its picture
POWER_BLOCK = 160  # samples
POWER_BLOCKS = round((REFERENCE_S + 3.0) * RATE_HZ / POWER_BLOCK)  # before the reference, 3 s are compared
POWER_STEP = 100  # blocks that are dropped at once
# The gain for faint sound depends on the loudest parts of the past, once there are enough of them.
MIN_GAIN_S, GAIN_MEMORY_S = 10.0, 60.0


@dataclass(frozen=True, eq=False)
class NewSamples:
    """Samples (S,) float32 with the gain, from sample `start` of the clock on. restart: of a new sound."""

    samples: np.ndarray
    start: int
    restart: bool


class RollingSound:
    """Collects blocks of sound and gives them contiguous, with zeros in short holes.

    end_s: the end of the added samples, -inf before the first.
    """

    def __init__(self) -> None:
        self.end_s = -math.inf
        self._end = 0  # in samples of the clock
        self._first = 0  # of `_samples`, a multiple of POWER_BLOCK
        self._samples = np.zeros(0, np.float32)  # as they came
        self._present: Spans = ()
        self._power, self._power_first = np.zeros(0), 0  # in the band of speech, and the first block
        self._rest = np.zeros(0, np.float32)  # amplified samples of the next block of power
        self._loud: list[float] = []  # mean squares of blocks of LEVEL_BLOCK_S with audible sound
        self._gain_db = 0.0
        self._leveled = 0  # samples up to which the gain is measured

    def add(self, block: SoundBlock) -> Iterator[NewSamples]:
        """Add a block and yield what it adds; nothing for one that lies in the past."""
        samples = np.asarray(block.samples, np.float32)
        start = round(block.start_s * RATE_HZ)
        offset = start - self._end
        if math.isinf(self.end_s) or abs(offset) > MAX_HOLE_S * RATE_HZ:
            yield self._restarted(start)
            offset = 0
        if abs(offset) <= TOLERANCE_S * RATE_HZ:
            offset = 0
        if offset > 0:
            yield self._extended(np.zeros(offset, np.float32), is_present=False)
        elif offset < 0:
            samples = samples[-offset:]
        if len(samples):
            yield self._extended(samples, is_present=True)

    def _restarted(self, start: int) -> NewSamples:
        begin = start // GRID * GRID
        self._first = self._end = begin
        self._samples, self._present = np.zeros(0, np.float32), ()
        self._power, self._power_first = np.zeros(0), begin // POWER_BLOCK
        self._rest = np.zeros(0, np.float32)
        self._leveled = begin
        zeros = self._extended(np.zeros(start - begin, np.float32), is_present=False)
        return NewSamples(zeros.samples, begin, restart=True)

    def _extended(self, samples: np.ndarray, *, is_present: bool) -> NewSamples:
        start, self._end = self._end, self._end + len(samples)
        self.end_s = self._end / RATE_HZ
        self._samples = np.concatenate([self._samples, samples])
        if is_present:
            self._present = _extended_spans(self._present, start / RATE_HZ, self.end_s)
        excess = len(self._samples) - round(KEPT_S * RATE_HZ)
        if excess > POWER_BLOCK * POWER_STEP:
            dropped = excess // POWER_BLOCK * POWER_BLOCK
            self._samples, self._first = self._samples[dropped:], self._first + dropped
            oldest_s = self._first / RATE_HZ
            self._present = tuple((max(a, oldest_s), b) for a, b in self._present if b > oldest_s)
        self._measure_level()
        amplified = samples * np.float32(10 ** (self._gain_db / 20)) if self._gain_db else samples
        self._add_power(amplified)
        return NewSamples(amplified, start, restart=False)

    def _measure_level(self) -> None:
        size = round(LEVEL_BLOCK_S * RATE_HZ)
        while self._end - self._leveled >= size:
            part = self._samples[self._leveled - self._first :][:size]
            if self.is_audible_at((self._leveled + size // 2) / RATE_HZ):
                self._loud.append(float(np.square(part, dtype=np.float64).mean()))
            self._leveled += size
        del self._loud[: -round(GAIN_MEMORY_S / LEVEL_BLOCK_S)]
        audible_s = len(self._loud) * LEVEL_BLOCK_S
        if audible_s >= MIN_GAIN_S:
            self._gain_db = faint_gain_db(np.array(self._loud), audible_s)

    def _add_power(self, samples: np.ndarray) -> None:
        waiting = np.concatenate([self._rest, samples])
        whole = len(waiting) // POWER_BLOCK * POWER_BLOCK
        self._rest = waiting[whole:]
        self._power = np.concatenate([self._power, band_power(waiting[:whole], RATE_HZ)])
        if len(self._power) >= POWER_BLOCKS + POWER_STEP:
            self._power, self._power_first = self._power[POWER_STEP:], self._power_first + POWER_STEP

    def is_audible_at(self, time_s: float) -> bool:
        """Whether the sound at a time of the last seconds is there and no digital silence so far.

        A silence counts from MIN_SILENCE_S on, as in files.
        """
        block = int(time_s * RATE_HZ) // POWER_BLOCK - self._first // POWER_BLOCK
        if not self.is_present_at(time_s) or block < 0:
            return False
        silent = silent_blocks(self._samples, POWER_BLOCK)
        if block >= len(silent) or not silent[block]:
            return True
        edges = np.flatnonzero(~silent)
        at = int(np.searchsorted(edges, block))
        first = edges[at - 1] + 1 if at else 0
        end = edges[at] if at < len(edges) else len(silent)
        return bool(end - first < MIN_SILENCE_S * RATE_HZ / POWER_BLOCK)

    def is_present_at(self, time_s: float) -> bool:
        """Whether there are samples at a time of the last seconds."""
        return any(a <= time_s < b for a, b in self._present)

    def level_db(self, time_s: float) -> float:
        """`sound_level.level_db` of the samples so far at a time of the last seconds."""
        zero_s = self._first / RATE_HZ
        return float(level_db(Sound(self._samples, RATE_HZ, ()), np.array([time_s - zero_s]))[0])

    def speech_level(self, first: int, times_s: np.ndarray) -> SpeechLevel:
        """`speech_level` of the samples so far at grid points from number `first` on, with times (N,)."""
        return level_of_power(self._power, times_s - self._power_first * POWER_BLOCK / RATE_HZ, first)


def _extended_spans(spans: Spans, start_s: float, end_s: float) -> Spans:
    if spans and abs(spans[-1][1] - start_s) < 0.5 / RATE_HZ:
        return (*spans[:-1], (spans[-1][0], end_s))
    return (*spans, (start_s, end_s))
