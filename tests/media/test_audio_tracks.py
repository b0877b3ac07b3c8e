"""Selection of one of several audio streams."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from synth.sound_files import SoundTrack, write_sound, write_tracks
from synth.sounds import noise, voice

from vacli.datasets.audio_augmentation import background
from vacli.errors import InputError
from vacli.media.audio import read_sound
from vacli.media.voice_activity import RATE_HZ, detect_voice_activity

SECONDS = 6.0
SPEECH = voice(SECONDS)
TONE = (0.1 * np.sin(2 * np.pi * 440 * np.arange(len(SPEECH)) / 16_000)).astype(np.float32)
OTHERS = {
    "silence": np.zeros_like(SPEECH),
    "tone": TONE,
    "noise": noise(SECONDS),
    "hum and chords": background(SECONDS, np.random.default_rng(5)),
}


def track(samples: np.ndarray, **facts) -> SoundTrack:
    return SoundTrack(((0.0, np.atleast_2d(samples)),), **facts)


@pytest.mark.parametrize("suffix", ["mkv", "mov"])
@pytest.mark.parametrize("other", sorted(OTHERS))
def test_the_track_with_speech_is_selected_with_a_note(tmp_path: Path, other: str, suffix: str):
    first = track(OTHERS[other], is_default=True)
    path = write_tracks(tmp_path / f"a.{suffix}", first, track(SPEECH, tags={"language": "eng"}))
    sound = read_sound(path)
    assert sound.track == 2
    np.testing.assert_allclose(sound.samples, SPEECH, atol=1e-3)
    (note,) = sound.notes
    assert note.startswith("audio track 2: pcm_s16le, eng")
    assert "not 1: pcm_s16le" in note
    assert ("silent" in note) == (other == "silence")


def test_the_default_one_of_two_speech_tracks_is_selected(tmp_path: Path):
    path = write_tracks(tmp_path / "a.mkv", track(voice(SECONDS, 1)), track(SPEECH, is_default=True))
    assert read_sound(path).track == 2
    path = write_tracks(tmp_path / "b.mkv", track(SPEECH, is_default=True), track(voice(SECONDS, 1)))
    assert read_sound(path).track == 1


def test_without_speech_the_first_audible_track_is_selected(tmp_path: Path):
    path = write_tracks(tmp_path / "a.mkv", track(OTHERS["silence"]), track(noise(SECONDS)), track(TONE))
    assert read_sound(path).track == 2


def test_speech_in_opposite_phase_is_detected(tmp_path: Path):
    inverted = track(np.stack([SPEECH, -SPEECH]), layout="stereo")
    path = write_tracks(tmp_path / "a.mkv", track(noise(SECONDS), is_default=True), inverted)
    assert read_sound(path).track == 2


def test_the_requested_track_is_read(tmp_path: Path):
    path = write_tracks(tmp_path / "a.mkv", track(TONE), track(SPEECH))
    sound = read_sound(path, track=1)
    assert (sound.track, sound.notes) == (1, ())
    np.testing.assert_allclose(sound.samples, TONE, atol=1e-3)


def test_the_error_for_a_missing_track_lists_the_tracks(tmp_path: Path):
    path = write_tracks(tmp_path / "a.mkv", track(TONE), track(SPEECH, tags={"title": "microphone"}))
    with pytest.raises(InputError, match="audio track 3 does not exist") as caught:
        read_sound(path, track=3)
    line = caught.value.one_line()
    assert "1: pcm_s16le, -2" in line
    assert "2: pcm_s16le, microphone, -" in line
    assert line.endswith("speech")


def undecodable(path: Path, *tracks: SoundTrack) -> Path:
    """Write a file whose first track has an unknown codec."""
    whole = write_tracks(path, *tracks).read_bytes()
    name = b"sowt" if b"sowt" in whole else b"mp4a"
    path.write_bytes(whole.replace(name, b"apac", 1))
    return path


def test_a_track_without_a_decoder_does_not_affect_the_others(tmp_path: Path):
    path = undecodable(tmp_path / "a.mov", track(TONE, is_default=True), track(SPEECH))
    sound = read_sound(path)
    assert sound.track == 2
    assert "no decoder" in sound.notes[0]
    with pytest.raises(InputError, match="audio track 1 cannot be decoded"):
        read_sound(path, track=1)


def test_audio_without_a_decoder_is_an_error(tmp_path: Path):
    with pytest.raises(InputError, match="no decoder for its sound"):
        read_sound(undecodable(tmp_path / "a.mov", track(SPEECH)))


def test_a_single_track_has_no_note(tmp_path: Path):
    sound = read_sound(write_sound(tmp_path / "a.wav", SPEECH))
    assert (sound.track, sound.notes) == (1, ())


def test_real_utterances_are_detected_as_speech(data: Path):
    files = [*sorted((data / "emodb").iterdir())[::80], *sorted((data / "ravdess").iterdir())[::200]]
    for path in files:
        assert detect_voice_activity(read_sound(path).samples[:: 16_000 // RATE_HZ]).is_speech, path.name
