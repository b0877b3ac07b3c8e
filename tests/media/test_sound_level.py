"""The level of a sound around times."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vacli.media.audio import Sound
from vacli.media.sound_level import FLOOR_DB, level_db

RATE_HZ = 16000


def tone(amplitude: float, length_s: float) -> np.ndarray:
    t = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
    return (amplitude * np.sin(2 * np.pi * 300 * t)).astype(np.float32)


def sound(*parts: np.ndarray) -> Sound:
    samples = np.concatenate(parts)
    return Sound(samples, RATE_HZ, ((0.0, len(samples) / RATE_HZ),))


def test_the_level_of_a_tone_is_its_root_mean_square():
    levels = level_db(sound(tone(0.1, 4.0)), np.array([0.0, 2.0, 4.0]))
    np.testing.assert_allclose(levels, 20 * np.log10(0.1 / np.sqrt(2)), atol=0.05)


def test_a_window_of_one_second_is_measured():
    half_loud = sound(np.zeros(2 * RATE_HZ, np.float32), tone(0.1, 2.0))
    quiet, edge, loud = level_db(half_loud, np.array([1.0, 2.0, 3.0]))
    assert quiet == FLOOR_DB
    np.testing.assert_allclose(loud - edge, 10 * np.log10(2), atol=0.05)


def test_the_gain_of_faint_recordings_is_not_counted():
    amplified = replace(sound(tone(0.1, 2.0)), gain_db=30.0)
    np.testing.assert_allclose(level_db(amplified, np.ones(1)), -23 - 30, atol=0.1)


def test_times_beyond_the_sound_have_no_level():
    assert np.isnan(level_db(sound(tone(0.1, 1.0)), np.array([-5.0, 9.0]))).all()
    assert np.isnan(level_db(sound(tone(0.1, 0.001)), np.zeros(2))).all()
