"""Float samples that are infinite, far above full scale or no numbers count as silence; the rest is used."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from synth.sound_files import SoundTrack, frame_of, write_sound, write_tracks
from synth.sounds import noise, voice

from vacli.media.audio import Sound, read_sound
from vacli.media.capture import Capture
from vacli.media.live_source import parse_source
from vacli.media.sample_check import MAX_SAMPLE, SampleCheck, usable_samples
from vacli.media.sound_output import Sound as SoundSource
from vacli.media.sound_output import sound_packets
from vacli.media.sound_stream import SoundStream
from vacli.media.stream_reader import CaptureSettings

SPEECH = voice(6.0)
AT = 30_000  # of an unusable sample, within a syllable
UNUSABLE = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf, "large": 1e9, "largest": -3e38}


def spoiled(value: float, first: int = AT, count: int = 1) -> np.ndarray:
    samples = SPEECH.copy()
    samples[first : first + count] = value
    return samples


def sound_of(path: Path, samples: np.ndarray, layout: str = "mono", codec: str = "pcm_f32le") -> Sound:
    return read_sound(write_sound(path, samples, layout, codec=codec))


def encoded(source: Path, target: Path) -> Path:
    """A copy of a sound in a container that needs another codec."""
    with av.open(str(source)) as container, av.open(str(target), "w") as out:
        packets, is_copy = sound_packets(SoundSource(container, container.streams.audio[0], []), out)
        out.mux(list(packets))
    assert not is_copy
    return target


@pytest.mark.parametrize("suffix", ["wav", "mkv"])
@pytest.mark.parametrize("kind", sorted(UNUSABLE))
def test_one_unusable_sample_is_zero_and_all_others_are_kept(tmp_path: Path, kind: str, suffix: str):
    sound = sound_of(tmp_path / f"a.{suffix}", spoiled(UNUSABLE[kind]))
    np.testing.assert_array_equal(sound.samples, spoiled(0.0))
    assert (sound.audible, sound.gain_db) == (((0.0, 6.0),), 0.0)
    (note,) = sound.notes
    assert note == (
        "1 of 96,000 samples of its sound is not a number or far above full scale; it counts as silence"
    )


def test_unusable_samples_of_doubles_are_counted(tmp_path: Path):
    sound = sound_of(tmp_path / "a.wav", spoiled(np.nan, count=4_000), codec="pcm_f64le")
    np.testing.assert_array_equal(sound.samples, spoiled(0.0, count=4_000))
    (note,) = sound.notes
    assert note.startswith("4,000 of 96,000 samples of its sound are not numbers or")


def test_long_unusable_sound_is_silence_between_audible_parts(tmp_path: Path):
    samples = np.concatenate([SPEECH, np.full(48_000, np.nan), SPEECH])
    sound = sound_of(tmp_path / "a.wav", samples)
    (first, second) = sound.audible
    assert first == pytest.approx((0.0, 6.0), abs=0.02)
    assert second == pytest.approx((9.0, 15.0), abs=0.02)


def test_the_gain_of_faint_sound_ignores_unusable_samples(tmp_path: Path):
    faint = sound_of(tmp_path / "a.wav", 1e-3 * SPEECH)
    sound = sound_of(tmp_path / "b.wav", np.float32(1e-3) * spoiled(np.inf))
    assert sound.gain_db == pytest.approx(faint.gain_db, abs=0.01)
    assert np.isfinite(sound.samples).all()


@pytest.mark.parametrize(("layout", "channels", "spoiled_one"), [("stereo", 2, 1), ("5.1", 6, 3)])
def test_an_unusable_channel_is_a_silent_one(tmp_path: Path, layout: str, channels: int, spoiled_one: int):
    samples = np.stack([SPEECH] * channels)
    samples[spoiled_one] = 0
    expected = sound_of(tmp_path / "a.wav", samples, layout)
    samples[spoiled_one] = np.nan
    sound = sound_of(tmp_path / "b.wav", samples, layout)
    np.testing.assert_array_equal(sound.samples, expected.samples)
    (note,) = sound.notes
    assert note.startswith(f"96,000 of {channels * 96_000:,} samples")


def test_an_inverted_channel_is_corrected_beside_an_unusable_sample(tmp_path: Path):
    sound = sound_of(tmp_path / "a.wav", np.stack([spoiled(np.nan), -SPEECH]), "stereo")
    assert [note.split(";")[0] for note in sound.notes] == [
        "1 of 192,000 samples of its sound is not a number or far above full scale",
        "its channels are in opposite phase",
    ]
    np.testing.assert_allclose(np.delete(sound.samples, AT), np.delete(SPEECH, AT), atol=1e-6)


def test_sound_without_a_usable_sample_is_silent(tmp_path: Path):
    sound = sound_of(tmp_path / "a.wav", np.full_like(SPEECH, np.nan))
    assert (sound.audible, sound.gain_db, sound.samples.any()) == ((), 0.0, False)
    unusable, silence = sound.notes
    assert unusable.startswith("96,000 of 96,000 samples of its sound are not numbers or")
    assert silence == "its sound is digital silence; it is not used"


def test_speech_with_an_unusable_sample_is_selected_among_tracks(tmp_path: Path):
    tracks = [
        SoundTrack(((0.0, samples[None]),), codec="pcm_f32le", is_default=not number)
        for number, samples in enumerate((noise(6.0), spoiled(np.inf)))
    ]
    sound = read_sound(write_tracks(tmp_path / "a.mkv", *tracks))
    assert sound.track == 2
    assert "nan" not in sound.notes[0]


def test_integers_scaled_as_16_bit_floats_are_used(tmp_path: Path):
    scaled = np.float32(MAX_SAMPLE) * SPEECH / np.abs(SPEECH).max()
    sound = sound_of(tmp_path / "a.wav", scaled)
    np.testing.assert_array_equal(sound.samples, scaled)
    assert sound.notes == ()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.uint8])
def test_usable_samples_are_returned_themselves(dtype: type):
    samples = np.array([[0, 1, 0.5], [1, 0, 1]]).astype(dtype)
    large = samples if dtype in (np.float32, np.float64) else samples * np.iinfo(dtype).max
    for given in (samples, large, samples[:, :0]):
        usable, n_unusable = usable_samples(given)
        assert usable is given
        assert n_unusable == 0


def test_an_array_with_unusable_samples_is_not_changed():
    samples = np.array([[0.5, np.nan, MAX_SAMPLE * 1.01]], np.float32)
    check = SampleCheck()
    usable = check.usable(samples)
    assert usable.dtype == np.float32
    np.testing.assert_array_equal(usable, [[0.5, 0, 0]])
    assert np.isnan(samples[0, 1])
    assert check.n_unusable == 2


def test_an_unusable_sample_of_live_sound_is_zero():
    stream = SoundStream(0.0)
    blocks = list(stream.add(frame_of(spoiled(np.nan)[None], 16_000, "mono")))
    samples = np.concatenate([block.samples for block in blocks])
    np.testing.assert_array_equal(samples, spoiled(0.0)[: len(samples)])
    assert len(samples) > AT
    (note,) = stream.notes
    assert note.startswith("samples of its sound are not numbers")


def test_a_live_source_warns_once_of_unusable_samples(tmp_path: Path):
    path = write_sound(tmp_path / "a.mkv", spoiled(np.inf, count=40_000), codec="pcm_f32le")
    warnings: list[str] = []
    with Capture(parse_source(str(path)), CaptureSettings(), warnings.append) as capture:
        blocks = [block.samples for captured in capture for block in captured.sound]
    assert np.isfinite(np.concatenate(blocks)).all()
    (warning,) = warnings
    assert warning.startswith(f"{path}: samples of its sound are not numbers")


def test_unusable_samples_are_encoded_as_silence(tmp_path: Path):
    source = write_sound(tmp_path / "a.wav", spoiled(np.nan, count=4_000), codec="pcm_f32le")
    sound = read_sound(encoded(source, tmp_path / "a.mp4"))
    assert sound.notes == ()
    assert np.abs(sound.samples[AT + 2_000 : AT + 3_000]).max() < 0.01
    assert np.abs(sound.samples[AT + 8_000 :]).max() > 0.1
