"""A live source has the picture and the sound that `va predict` reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from synth.clips import Clip, write_clip
from synth.sound_files import SoundTrack, write_tracks
from synth.sounds import noise, voice

from vacli.errors import InputError
from vacli.media.audio import read_sound
from vacli.media.capture import Capture
from vacli.media.live_source import parse_source
from vacli.media.stream_reader import CaptureSettings

SECONDS = 4.0
TRACKS = tuple(
    SoundTrack(((0.0, samples[None]),), is_default=not number)
    for number, samples in enumerate((noise(SECONDS), voice(SECONDS)))
)


def sound_of(name: str, **options: object) -> tuple[np.ndarray, list[str], list[object]]:
    """Return the samples, the warnings and the frames of a source."""
    warnings: list[str] = []
    blocks, frames = [], []
    with Capture(parse_source(name, **options), CaptureSettings(), warnings.append) as capture:
        for captured in capture:
            blocks += [block.samples for block in captured.sound]
            frames += [captured.frame.frame] if captured.frame else []
    return np.concatenate(blocks), warnings, frames


def test_a_file_has_the_audio_track_with_speech(tmp_path: Path):
    path = write_tracks(tmp_path / "a.mkv", *TRACKS)
    samples, (warning,), _ = sound_of(str(path))
    expected = read_sound(path)
    assert warning == f"{path}: {expected.notes[0]}"
    np.testing.assert_allclose(samples, expected.samples[: len(samples)], atol=1e-4)


@pytest.mark.parametrize(("number", "expected"), [(None, 0), (1, 0), (2, 1)])
def test_a_stream_has_the_default_audio_track_or_the_one_asked_for(tmp_path: Path, number, expected: int):
    path = write_tracks(tmp_path / "a.mkv", *TRACKS)
    samples, warnings, _ = sound_of(str(path), demuxer="matroska", audio_track=number)
    wanted = TRACKS[expected].parts[0][1][0]
    np.testing.assert_allclose(samples, wanted[: len(samples)], atol=1e-4)
    assert [": audio track 1: pcm_s16le is read, not 2: pcm_s16le" in one for one in warnings] == (
        [True] if number is None else []
    )


@pytest.mark.parametrize("demuxer", [None, "matroska"])
def test_an_absent_audio_track_is_an_error(tmp_path: Path, demuxer: str | None):
    path = write_tracks(tmp_path / "a.mkv", *TRACKS)
    with pytest.raises(InputError, match="audio track 3"):
        sound_of(str(path), demuxer=demuxer, audio_track=3)


def test_cover_art_of_a_file_is_no_picture(tmp_path: Path):
    path = write_clip(tmp_path / "a.mkv", Clip((0.0,), sound_spans=((0, SECONDS),), sound_codec="aac"))
    _, _, frames = sound_of(str(path))
    assert len(frames) == pytest.approx(25 * SECONDS, abs=3)
    assert not any(frame.has_picture for frame in frames)
