from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synth.sounds import noise

from vacli.features.vggish import log_mel


def sine(hz=1000, seconds=3.0):
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * log_mel.RATE_HZ)) / log_mel.RATE_HZ)


def test_published_check():
    """1 kHz for 3 s at 16 kHz, in whole patches of 96 (values of torchvggish's front end)."""
    patches = log_mel.log_mel(sine())[: 3 * 96]
    assert patches.mean() == pytest.approx(-3.42962, abs=1e-4)
    assert patches.std(ddof=1) == pytest.approx(2.12664, abs=1e-4)
    assert (patches.min(), patches.max()) == pytest.approx((-4.60116, 4.81112), abs=1e-4)
    assert patches.mean(axis=0).argmax() == 19


def test_number_of_frames():
    assert len(log_mel.log_mel(sine(seconds=3.0))) == 298
    assert log_mel.log_mel(np.zeros(399)).shape == (0, 64)
    assert log_mel.log_mel(np.zeros(400)).shape == (1, 64)


def test_spectra_do_not_depend_on_blocks(monkeypatch):
    whole = log_mel.log_mel(noise(2))
    monkeypatch.setattr(log_mel, "_BLOCK", 7)
    np.testing.assert_array_equal(log_mel.log_mel(noise(2)), whole)


def test_a_filter_peaks_at_its_centre_and_excludes_the_first_bin():
    weights = log_mel.mel_weights()
    assert weights.shape == (257, 64)
    assert not weights[0].any()
    assert 0 <= weights.min() <= weights.max() <= 1


@settings(max_examples=40, deadline=None)
@given(st.integers(-120, 150), st.integers(1, 120))
def test_frames_beyond_the_sound_are_frames_of_silence(first, count):
    samples = noise(1.0)
    padded = np.concatenate([np.zeros(120 * 160), samples, np.zeros(400 * 160)])
    expected = log_mel.log_mel(padded)[first + 120 : first + 120 + count]
    np.testing.assert_allclose(log_mel.log_mel_around(samples, first, count), expected, atol=1e-5)


def test_silence_has_the_lowest_value():
    assert log_mel.log_mel_around(noise(1.0), -500, 3) == pytest.approx(log_mel.SILENCE)
