from __future__ import annotations

import numpy as np
import pytest

from vacli.media.audio import Sound
from vacli.media.speech_level import speech_level

RATE_HZ = 16_000
GRID_S = np.arange(0, 6, 0.04)


def sound(samples: np.ndarray) -> Sound:
    return Sound(samples.astype(np.float32), RATE_HZ, ((0.0, len(samples) / RATE_HZ),))


def burst(hz: float = 1000.0, gain: float = 0.3, start_s: float = 2.0, end_s: float = 4.0) -> np.ndarray:
    time_s = np.arange(6 * RATE_HZ) / RATE_HZ
    return gain * np.sin(2 * np.pi * hz * time_s) * ((time_s >= start_s) & (time_s < end_s))


def test_the_level_is_relative_to_the_loudest_part():
    level = speech_level(sound(burst()), GRID_S)
    assert np.abs(level.level_db[(GRID_S > 2.3) & (GRID_S < 3.7)]).max() < 1
    np.testing.assert_allclose(level.level_db[GRID_S < 1.8], -30, atol=0.1)


def test_the_activity_is_that_of_the_sound_whatever_its_level_and_its_background():
    inside, outside = (GRID_S > 2.1) & (GRID_S < 3.9), (GRID_S < 1.8) | (GRID_S > 4.2)
    noise = np.random.default_rng(0).normal(0, 1, 6 * RATE_HZ)
    for gain, background in ((0.3, 0.0), (0.003, 0.0), (0.3, 0.01), (0.01, 0.0003)):
        activity = speech_level(sound(burst(gain=gain) + background * noise), GRID_S).activity
        assert activity[inside].min() > 0.9
        assert activity[outside].max() < 0.1


def test_hum_and_hiss_beside_the_band_of_speech_have_no_level():
    voice = burst()
    for hz in (50.0, 100.0, 6000.0):
        disturbed = speech_level(sound(voice + 0.1 * burst(hz, start_s=0.0, end_s=6.0)), GRID_S)
        assert disturbed.activity[GRID_S < 1.8].max() < 0.1


def test_a_short_pause_belongs_to_the_speech_and_a_long_one_does_not():
    for pause_s, is_active in ((0.2, True), (0.8, False)):
        voice = burst(end_s=2.8) + burst(start_s=2.8 + pause_s, end_s=5.0)
        middle = speech_level(sound(voice), np.array([2.8 + pause_s / 2])).activity[0]
        assert (middle > 0.5) == is_active


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(100), np.zeros(4000), np.full(4000, 1.0)])
def test_a_short_or_silent_sound_has_finite_levels_and_no_activity(samples):
    level = speech_level(sound(samples), GRID_S)
    assert np.isfinite(level.level_db).all()
    assert not level.activity.any()


def test_an_hour_is_like_its_parts(monkeypatch):
    voice = np.concatenate([burst(), burst(700.0), burst(1500.0)])
    times_s = np.arange(0, 18, 0.04)
    whole = speech_level(sound(voice), times_s)
    monkeypatch.setattr("vacli.media.speech_level.CHUNK_BLOCKS", 70)
    parts = speech_level(sound(voice), times_s)
    np.testing.assert_array_equal(whole.level_db, parts.level_db)
