"""The level of a sound in the band of speech, and where it is above the background."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vacli.files import scratch
from vacli.media.audio import Sound

BLOCK_S = 0.01
BAND_HZ = (300.0, 3400.0)  # of a telephone: carries the syllables, not hum and hiss
CHUNK_BLOCKS = 6_000  # whose spectra are in memory at once
SYLLABLE_STD_S, LOUDNESS_STD_S, BACKGROUND_STD_S = 0.04, 0.1, 0.15  # of Gaussian filters
REFERENCE_S = 10.0  # the loudest and the quietest part within this time are the references
REFERENCE_STRIDE = 10  # blocks
RANGE_DB = 30.0  # of the level below the loudest part
MIN_LOUDEST, MIN_POWER = 1e-6, 1e-10  # of full scale: -60 and -100 dB
ABOVE_BACKGROUND_DB, ONSET_LIMITS_DB, ONSET_DB = 4.0, (-40.0, -16.0), 8.0
PAUSE_S = 0.3  # a shorter pause belongs to the speech around it


@dataclass(frozen=True, eq=False)
class SpeechLevel:
    """level_db (N,): in the band of speech, from -30 to about 0, relative to the loudest part around.

    activity (N,): from 0 to 1, whether the level is above that of the background. first: the number of the
    first value, if the beginning is not kept.
    """

    level_db: np.ndarray
    activity: np.ndarray
    first: int = 0


def speech_level(sound: Sound, audio_s: np.ndarray) -> SpeechLevel:
    """The level at ascending times (N,) of the audio clock; -30 and 0 outside the sound."""
    return level_of_power(band_power(sound.samples, sound.rate_hz), audio_s)


def level_of_power(power: np.ndarray, audio_s: np.ndarray, first: int = 0) -> SpeechLevel:
    """The level at ascending times (N,) of a sound with the `band_power` (B,) of its blocks.

    first: the number of the first value in the result.
    """
    if not len(power):
        return SpeechLevel(np.full(len(audio_s), -RANGE_DB), np.zeros(len(audio_s)), first)
    loudest = np.maximum(_extreme(_smooth(power, LOUDNESS_STD_S), np.max), MIN_LOUDEST)
    level = _decibels(power / loudest + 10 ** (-RANGE_DB / 10))
    centres_s = (np.arange(len(power)) + 0.5) * BLOCK_S

    def at_times(values: np.ndarray, outside: float) -> np.ndarray:
        return np.interp(audio_s, centres_s, values, left=outside, right=outside)

    level_db = at_times(_smooth(level, SYLLABLE_STD_S), -RANGE_DB)
    return SpeechLevel(level_db, at_times(_activity(power, loudest), 0.0), first)


def _activity(power: np.ndarray, loudest: np.ndarray) -> np.ndarray:
    background = _smooth(power, BACKGROUND_STD_S) + MIN_POWER
    floor_db = _decibels(_extreme(background, np.min) / loudest)
    onset_db = np.clip(floor_db + ABOVE_BACKGROUND_DB, *ONSET_LIMITS_DB)
    level_db = _decibels((_smooth(power, SYLLABLE_STD_S / 2) + MIN_POWER) / loudest)
    active = np.clip((level_db - onset_db) / ONSET_DB, 0.0, 1.0)
    width = round(PAUSE_S / BLOCK_S) // 2
    return _sliding(_sliding(active, width, np.max), width, np.min)


def band_power(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """(B,) mean power of each block of BLOCK_S in the band of speech."""
    size = round(BLOCK_S * rate_hz)
    blocks = samples[: len(samples) // size * size].reshape(-1, size)
    low, high = (round(hz * BLOCK_S) for hz in BAND_HZ)
    powers = []
    for start in range(0, len(blocks), CHUNK_BLOCKS):
        spectra = np.fft.rfft(blocks[start : start + CHUNK_BLOCKS], axis=1)[:, low : high + 1]
        powers.append(np.square(np.abs(spectra)).sum(axis=1) * (2 / size**2))
        scratch.release(blocks)
    return np.concatenate(powers) if powers else np.empty(0)


def _smooth(values: np.ndarray, std_s: float) -> np.ndarray:
    """Filter with a Gaussian of this standard deviation; the ends continue outside."""
    std = std_s / BLOCK_S
    radius = int(3 * std)
    kernel = np.exp(-0.5 * np.square(np.arange(-radius, radius + 1) / std))
    return np.convolve(np.pad(values, radius, mode="edge"), kernel / kernel.sum(), "valid")


def _extreme(values: np.ndarray, function: Callable[..., np.ndarray]) -> np.ndarray:
    """The maximum or minimum of `values` within REFERENCE_S of each block."""
    coarse = values[::REFERENCE_STRIDE]
    width = round(REFERENCE_S / BLOCK_S / REFERENCE_STRIDE)
    return np.repeat(_sliding(coarse, width, function), REFERENCE_STRIDE)[: len(values)]


def _sliding(values: np.ndarray, radius: int, function: Callable[..., np.ndarray]) -> np.ndarray:
    """The maximum or minimum of `values` within `radius` of each of them."""
    padded = np.pad(values, radius, mode="edge")
    return function(np.lib.stride_tricks.sliding_window_view(padded, 2 * radius + 1), axis=1)


def _decibels(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(power)
