"""Audio of all layouts, sample formats and rates, also with implausible headers."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from synth.clips import Clip, steady, write_clip
from synth.sound_files import frame_of, write_sound
from synth.sounds import noise, voice

from vacli.errors import InputError
from vacli.media.audio import read_sound
from vacli.media.audio_segments import MAX_RATE_HZ, MIN_RATE_HZ
from vacli.media.downmix import SURROUND_WEIGHT, WEIGHTS, Downmix

FORMS = ("u8", "s16", "s32", "flt", "dbl", "s64")
STEP = {"u8": 1 / 128, "s16": 1 / 32768}
NAMED = {
    "mono": ["FC"],
    "stereo": ["FL", "FR"],
    "5.1(side)": ["FL", "FR", "FC", "LFE", "SL", "SR"],
    "7.1": ["FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR"],
    "hexadecagonal": ["FL", "FR", "FC", *13 * ["BC"]],
    "22.2": ["FL", "FR", "FC", "LFE", *14 * ["SL"], "LFE2", *5 * ["SL"]],
}


def channels_of_noise(channels: int, count: int = 400) -> np.ndarray:
    return np.random.default_rng(channels).uniform(-0.5, 0.5, (channels, count)).astype(np.float32)


@pytest.mark.parametrize("planar", ["", "p"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("channels", range(1, 17))
def test_channels_without_speakers_give_their_mean(channels: int, form: str, planar: str):
    samples = channels_of_noise(channels)
    frame = frame_of(samples, 16_000, f"{channels} channels", form + planar)
    mix = Downmix(frame)
    mono = mix.mono(mix.channels(mix.arrays(frame)))
    np.testing.assert_allclose(mono, samples.mean(axis=0), atol=STEP.get(form, 1e-6))
    assert mono.dtype == np.float32


@pytest.mark.parametrize("form", ["s16", "s16p", "flt", "fltp"])
@pytest.mark.parametrize("layout", sorted(NAMED))
def test_speakers_have_their_weights(layout: str, form: str):
    samples, names = channels_of_noise(len(NAMED[layout])), NAMED[layout]
    weights = np.array([WEIGHTS.get(name, SURROUND_WEIGHT) for name in names])
    frame = frame_of(samples, 16_000, layout, form)
    mix = Downmix(frame)
    mono = mix.mono(mix.channels(mix.arrays(frame)))
    np.testing.assert_allclose(mono, weights @ samples / weights.sum(), atol=2e-5)


@pytest.mark.parametrize(("layout", "channels"), [("stereo", 2), ("5.1", 6), ("7.1", 8)])
def test_planar_and_packed_audio_are_equal(tmp_path: Path, layout: str, channels: int):
    samples = np.stack([voice(1.0, seed) for seed in range(channels)])
    packed = read_sound(write_sound(tmp_path / "a.wav", samples, layout))
    planar = read_sound(write_sound(tmp_path / "a.flac", samples, layout, codec="flac"))
    np.testing.assert_allclose(planar.samples, packed.samples, atol=1e-6)
    assert np.abs(packed.samples).max() > 0.01


@pytest.mark.parametrize(("suffix", "codec"), [("opus", "libopus"), ("m4a", "aac"), ("mka", "aac")])
def test_eight_channels_of_a_lossy_codec(tmp_path: Path, suffix: str, codec: str):
    samples = np.repeat(voice(1.0)[None], 8, axis=0)
    sound = read_sound(
        write_sound(tmp_path / f"a.{suffix}", samples.repeat(3, axis=1), "7.1", codec=codec, rate_hz=48_000)
    )
    assert sound.decode_error is None
    assert sound.duration_s == pytest.approx(1.0, abs=0.05)
    assert np.abs(sound.samples).max() > 0.05


def test_the_layout_may_change_within_a_stream(tmp_path: Path):
    one = write_sound(tmp_path / "one.aac", voice(1.0), codec="aac")
    many = write_sound(tmp_path / "two.aac", np.repeat(voice(1.0)[None], 6, axis=0), "5.1", codec="aac")
    both = tmp_path / "both.aac"
    both.write_bytes(one.read_bytes() + many.read_bytes() + one.read_bytes())
    sound = read_sound(both)
    parts = [read_sound(path).samples for path in (one, many, one)]
    energy = sum(float(np.square(part).sum()) for part in parts)
    assert float(np.square(sound.samples).sum()) == pytest.approx(energy, rel=0.1)


@pytest.mark.parametrize("rate_hz", [1, MIN_RATE_HZ - 1, MAX_RATE_HZ + 1, 2_000_000_000])
def test_an_implausible_sample_rate_is_an_error(tmp_path: Path, rate_hz: int):
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate_hz, 0, "NONE", "not compressed"))
        file.writeframes(bytes(20_000))
    with pytest.raises(InputError, match=f"{rate_hz} Hz is no sample rate of sound"):
        read_sound(path)


def test_the_lowest_and_highest_sample_rates_are_read(tmp_path: Path):
    for rate_hz in (MIN_RATE_HZ, MAX_RATE_HZ):
        path = tmp_path / f"{rate_hz}.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, rate_hz, 0, "NONE", "not compressed"))
            file.writeframes((8_000 * noise(rate_hz // 2 / 16_000)).astype("<i2").tobytes())
        assert read_sound(path).duration_s == pytest.approx(0.5, abs=0.01)


def test_an_implausible_sample_rate_next_to_video_is_a_decode_error(tmp_path: Path):
    clip = Clip(steady(25, 2), sound_spans=((0.0, 2.0),), sound_codec="pcm_s16le", sound_rate_hz=500)
    sound = read_sound(write_clip(tmp_path / "a.mkv", clip))
    assert "500 Hz is no sample rate" in sound.decode_error
    assert sound.present == ()
    assert not sound.is_audible_at(np.arange(50) / 25).any()


@pytest.mark.parametrize("suffix", ["flac", "mka", "ogg"])
def test_a_frame_with_a_wrong_checksum_is_dropped_and_reported(tmp_path: Path, suffix: str):
    samples = voice(4.0)
    path = write_sound(tmp_path / f"a.{suffix}", samples, codec="flac")
    whole = read_sound(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    sound = read_sound(path)
    assert whole.decode_error is None
    assert sound.decode_error is not None
    errors = np.abs(sound.samples - whole.samples[: len(sound.samples)]) > 1e-4
    assert 0 < errors.sum() < 2 * 16_000
    assert np.abs(sound.samples[errors]).max() <= np.abs(whole.samples).max()
