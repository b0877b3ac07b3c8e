from __future__ import annotations

import numpy as np
import pytest
from synth.sounds import voice

from vacli.datasets import audio_augmentation
from vacli.datasets.audio_augmentation import AUGMENTATIONS, RATE_HZ, augment, background
from vacli.media.audio import read_sound


def band_power(sound: np.ndarray, low_hz: float, high_hz: float) -> float:
    spectrum = np.abs(np.fft.rfft(sound)) ** 2
    hertz = np.fft.rfftfreq(len(sound), 1 / RATE_HZ)
    return float(spectrum[(hertz >= low_hz) & (hertz < high_hz)].sum() / spectrum.sum())


def test_augmentation_depends_on_the_seed():
    first, again, other = (augment(voice(2), np.random.default_rng(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or np.abs(first - other).max() > 0.01


def test_levels_vary_and_do_not_exceed_full_scale():
    peaks = [np.abs(augment(voice(1), np.random.default_rng(s))).max() for s in range(30)]
    assert max(peaks) <= 1.0
    assert max(peaks) / min(peaks) > 10


def test_telephone_band_has_no_low_or_high_frequencies():
    there = AUGMENTATIONS["telephone"](voice(2), np.random.default_rng(0))
    assert band_power(there, 250, 3700) > 0.97
    assert band_power(there, 4000, 8000) < 0.001


def test_speed_changes_pitch_and_length_alike():
    time_s = np.arange(2 * RATE_HZ) / RATE_HZ
    tone = np.sin(2 * np.pi * 500 * time_s)
    for seed in range(5):
        other = AUGMENTATIONS["speed"](tone, np.random.default_rng(seed))
        peak_hz = np.abs(np.fft.rfft(other)).argmax() * RATE_HZ / len(other)
        assert peak_hz * len(other) == pytest.approx(500 * len(tone), rel=0.01)
        assert abs(len(other) / len(tone) - 1) < 0.15


def test_reverberation_decays():
    click = np.zeros(RATE_HZ)
    click[100] = 1.0
    there = AUGMENTATIONS["reverb"](click, np.random.default_rng(0))
    assert np.square(there[101 : RATE_HZ // 10]).sum() > 0.01
    assert np.square(there[-RATE_HZ // 10 :]).sum() < 1e-3


def test_noise_has_the_drawn_level():
    speech = voice(2).astype(np.float64)
    added = AUGMENTATIONS["noise"](speech, np.random.default_rng(3)) - speech
    over_db = 10 * np.log10(np.mean(speech**2) / np.mean(added**2))
    assert audio_augmentation.SNR_DB[0] - 0.1 <= over_db <= audio_augmentation.SNR_DB[1] + 0.1


def test_backgrounds_are_silent_noisy_or_tonal():
    made = [background(1.0, np.random.default_rng(s)) for s in range(24)]
    assert {x.dtype.name for x in made} == {"float32"}
    assert all(len(x) == RATE_HZ and np.abs(x).max() <= 1 for x in made)
    assert any(not x.any() for x in made)
    assert sum(bool(x.any()) for x in made) > 12


def test_written_samples_are_read_again(tmp_path):
    audio_augmentation.write_wav(tmp_path / "a.wav", voice(1))
    np.testing.assert_allclose(read_sound(tmp_path / "a.wav").samples, voice(1), atol=1 / 32768)
