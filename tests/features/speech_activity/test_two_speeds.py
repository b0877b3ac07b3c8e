from __future__ import annotations

import numpy as np
import pytest
from synth.sounds import noise

from vacli.features.speech_activity.network import HOP, OVERLAP, RATE_HZ, SileroVad
from vacli.features.speech_activity.two_speeds import HALF_TAPS, TwoSpeedVad, at_half_speed
from vacli.features.weights import locate
from vacli.media.synthetic_speech import syllables

WINDOWS = 150


def windows_of(samples: np.ndarray) -> np.ndarray:
    """WINDOWS windows of a sound, with silence before them."""
    return np.pad(samples, (OVERLAP, WINDOWS * HOP))[: OVERLAP + WINDOWS * HOP].astype(np.float32)


@pytest.mark.parametrize("frequency_hz", [100, 1000, 5000])
def test_a_tone_at_half_speed_has_half_the_frequency(frequency_hz):
    angle = 2 * np.pi * frequency_hz / RATE_HZ
    slow = at_half_speed(np.sin(angle * np.arange(OVERLAP + 4 * HOP)).astype(np.float32))
    assert slow.dtype == np.float32
    place = OVERLAP + (np.arange(OVERLAP + 8 * HOP) - OVERLAP) / 2 - HALF_TAPS
    np.testing.assert_allclose(slow, np.sin(angle * place), atol=0.005)


def test_blocks_join_without_a_gap():
    samples = noise(1.0)[: OVERLAP + 8 * HOP]
    whole = at_half_speed(samples)
    second = at_half_speed(samples[3 * HOP :])
    np.testing.assert_allclose(second, whole[6 * HOP :], atol=1e-7)


def test_a_voice_at_three_times_the_pitch_is_found():
    path = locate("speech")
    high = windows_of(syllables(15.0, seed=1)[::3])
    plain, _ = SileroVad(path).probabilities(high)
    both, _ = TwoSpeedVad(path).probabilities(high)
    assert np.median(plain) < 0.1
    assert np.median(both) > 0.9


def test_probabilities_are_never_smaller_than_those_of_the_sound_as_it_is():
    path = locate("speech")
    samples = windows_of(np.concatenate([syllables(2.0), noise(3.0)]))
    plain, _ = SileroVad(path).probabilities(samples)
    both, _ = TwoSpeedVad(path).probabilities(samples)
    assert both.shape == (WINDOWS,)
    assert (both >= plain).all()
    assert both[-40:].max() < 0.1
