"""Inverted channels are corrected; ordinary ones are mixed unchanged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from synth.sound_files import write_sound
from synth.sounds import noise, voice

from vacli.media.audio import read_sound

LEFT = voice(6.0)


def stereo(tmp_path: Path, left: np.ndarray, right: np.ndarray):
    return read_sound(write_sound(tmp_path / "a.wav", np.stack([left, right]), "stereo"))


def level(samples: np.ndarray) -> float:
    return float(np.sqrt(np.square(samples).mean()))


@pytest.mark.parametrize("snr_db", [100, 20, 7])
def test_an_inverted_channel_is_corrected(tmp_path: Path, snr_db: int):
    apart = level(LEFT) * 10 ** (-snr_db / 20)
    first, second = LEFT + noise(6.0, 1, apart), -LEFT + noise(6.0, 2, apart)
    sound = stereo(tmp_path, first, second)
    assert any("opposite phase" in note for note in sound.notes)
    np.testing.assert_allclose(sound.samples, (first - second) / 2, atol=1e-4)


@pytest.mark.parametrize("codec", ["aac", "libopus"])
def test_an_inverted_channel_of_lossy_audio_is_corrected(tmp_path: Path, codec: str):
    both = np.stack([LEFT, -LEFT]).repeat(3, axis=1)
    sound = read_sound(write_sound(tmp_path / "a.mka", both, "stereo", codec=codec, rate_hz=48_000))
    assert level(sound.samples) == pytest.approx(level(LEFT), rel=0.1)


def test_an_inverted_front_channel_of_six_is_corrected(tmp_path: Path):
    six = np.zeros((6, len(LEFT)), np.float32)
    six[0], six[1] = LEFT, -LEFT
    sound = read_sound(write_sound(tmp_path / "a.wav", six, "5.1"))
    assert level(sound.samples) == pytest.approx(2 * 0.2071 * level(LEFT), rel=0.01)


def test_only_the_inverted_part_is_corrected(tmp_path: Path):
    left, right = np.tile(LEFT, 4), np.concatenate([LEFT, -LEFT, LEFT, -LEFT])
    quarters = stereo(tmp_path, left, right).samples.reshape(4, -1)
    for quarter in quarters:
        assert level(quarter) > 0.8 * level(LEFT)
    np.testing.assert_allclose(
        np.abs(quarters[:, 32_000:-32_000]), np.abs([LEFT[32_000:-32_000]] * 4), atol=1e-4
    )
    np.testing.assert_allclose(quarters[0, :8000], LEFT[:8000], atol=1e-4)


@pytest.mark.parametrize(
    "right",
    [LEFT, 0.3 * LEFT, np.zeros_like(LEFT), voice(6.0, 3), noise(6.0), -0.3 * LEFT, LEFT + noise(6.0)],
    ids=["same", "fainter", "none", "another voice", "noise", "a little of it", "with noise"],
)
def test_ordinary_channels_are_mixed_unchanged(tmp_path: Path, right: np.ndarray):
    sound = stereo(tmp_path, LEFT, right)
    whole = np.round(np.stack([LEFT, right]).astype(np.float32) * 32768).clip(-32768, 32767)
    expected = (np.array([0.5, 0.5]) @ whole.astype(np.int16) / 32768).astype(np.float32)
    np.testing.assert_array_equal(sound.samples, expected)
    assert sound.notes == ()


def test_inverted_hum_in_pauses_is_ignored(tmp_path: Path):
    hum = 0.004 * np.sin(2 * np.pi * 50 * np.arange(len(LEFT)) / 16_000)
    talk = np.concatenate([LEFT, 0 * LEFT, LEFT])
    buzz = np.concatenate([hum, hum, hum])
    sound = stereo(tmp_path, talk + buzz, talk - buzz)
    assert sound.notes == ()
