"""Samples in memory give the sound that a file of them gives."""

from __future__ import annotations

import numpy as np
import pytest
from synth.sound_files import write_sound
from synth.sounds import voice

from vacli.errors import InputError
from vacli.media.array_audio import sound_of_array
from vacli.media.audio import Sound, read_sound


def assert_equal(made: Sound, expected: Sound) -> None:
    count = len(expected.samples)
    assert abs(len(made.samples) - count) <= 1
    np.testing.assert_allclose(made.samples[:count], expected.samples[: len(made.samples)], atol=1e-6)
    assert made.gain_db == pytest.approx(expected.gain_db, abs=1e-6)
    assert np.allclose(made.audible, expected.audible)
    assert len(made.notes) == len(expected.notes)


@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 8_000])
@pytest.mark.parametrize("second", [None, 0.5, -1.0], ids=["mono", "stereo", "opposite"])
def test_an_array_gives_the_sound_of_its_file(rate_hz, second, tmp_path):
    mono = voice(2.0)
    samples = mono[:, None] if second is None else np.stack([mono, second * mono], axis=1)
    layout = "mono" if second is None else "stereo"
    path = write_sound(tmp_path / "a.wav", samples.T, layout, codec="pcm_f32le", rate_hz=rate_hz)
    expected = read_sound(path)
    made = sound_of_array(samples.astype(np.float32), rate_hz)
    assert_equal(made, expected)
    assert np.abs(made.samples).max() > 0.1, "channels in opposite phase do not cancel"


def test_a_faint_array_is_amplified_and_keeps_its_samples():
    samples = (voice(2.0) * 2e-3).astype(np.float32)
    before = samples.copy()
    made = sound_of_array(samples, 16_000)
    assert made.gain_db > 10
    np.testing.assert_array_equal(samples, before)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint8])
def test_integers_have_their_full_scale(dtype):
    info, mono = np.iinfo(dtype), voice(1.0)
    half = (int(info.max) - int(info.min)) / 2
    samples = np.round(mono * half + (half if info.min == 0 else 0)).astype(dtype)
    made = sound_of_array(samples, 16_000)
    np.testing.assert_allclose(made.samples[: len(mono)], mono, atol=0.02)


def test_sound_continues_with_zeros_to_the_end_of_the_video():
    samples = voice(1.0).astype(np.float32)
    assert sound_of_array(samples, 16_000, end_s=1.5).duration_s == pytest.approx(1.5)
    assert sound_of_array(samples, 16_000, end_s=60.0).duration_s == pytest.approx(6.0)
    assert sound_of_array(samples, 16_000, end_s=0.5).duration_s == pytest.approx(1.0, abs=0.01)


def test_no_samples_are_no_sound():
    made = sound_of_array(np.zeros(0), 16_000, end_s=1.0)
    assert made.present == ()
    assert not made.is_audible_at(np.array([0.5])).any()


@pytest.mark.parametrize("shape", [(), (2, 9), (1, 0), (2, 2, 2)])
def test_other_shapes_are_errors(shape):
    with pytest.raises(InputError, match="audio has the shape"):
        sound_of_array(np.zeros(shape), 16_000)
