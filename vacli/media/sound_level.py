"""The level of a sound around the rows of a video."""

from __future__ import annotations

import numpy as np

from vacli.media.audio import Sound
from vacli.media.silence import mean_squares

WINDOW_S = 1.0  # covers the pauses between syllables
BLOCK_S = 0.01
FLOOR_DB = -120.0  # of digital silence


def level_db(sound: Sound, audio_s: np.ndarray) -> np.ndarray:
    """(N,) root mean square in dB of full scale over WINDOW_S around times (N,) of the audio clock.

    The level is that of the file, before the gain for faint recordings. NaN outside the sound.
    """
    block = round(BLOCK_S * sound.rate_hz)
    samples = sound.samples[: len(sound.samples) // block * block].reshape(-1, block)
    if not len(samples):
        return np.full(len(audio_s), np.nan)
    power = mean_squares(samples)
    summed = np.concatenate([[0.0], np.cumsum(power)])
    edges = np.round(np.asarray(audio_s)[:, None] / BLOCK_S + np.array([-0.5, 0.5]) * WINDOW_S / BLOCK_S)
    first, end = edges.astype(np.int64).clip(0, len(power)).T
    mean = (summed[end] - summed[first]) / np.maximum(end - first, 1)
    decibels = 10 * np.log10(np.maximum(mean, 10 ** (FLOOR_DB / 10))) - sound.gain_db
    return np.where(end > first, decibels, np.nan)
