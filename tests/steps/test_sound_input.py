"""`predict` and `extract-audio` on faint, short or silent audio and on one of several tracks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from synth.faces import scene, write_video
from synth.sound_files import SoundTrack, write_sound, write_tracks
from synth.sounds import noise

from vacli.features.flags import MISSING
from vacli.media.synthetic_speech import syllables
from vacli.output.frame_table import FrameTable
from vacli.progress import RecordingProgress
from vacli.steps import extract_audio
from vacli.steps.predict import PredictSettings, run
from vacli.store import Store

pytest.importorskip("opensmile", reason="openSMILE is not installed")
SPEECH = syllables(4.0)


def predicted(path: Path, progress: RecordingProgress | None = None, **settings: object) -> FrameTable:
    made: list[FrameTable] = []
    batch = run(
        PredictSettings(inputs=(path,), device="cpu", **settings),
        made.append,
        progress or RecordingProgress(),
    )
    assert not batch.failed
    (table,) = made
    return table


def extracted(path: Path, store: Path, progress: RecordingProgress | None = None, **settings: object):
    wanted = extract_audio.ExtractAudioSettings(
        inputs=(path,), store=store, features=("egemaps",), **settings
    )
    return extract_audio.run(wanted, progress or RecordingProgress())


def modalities(table: FrameTable) -> set[str]:
    return set(table.columns["modality"].tolist())


@pytest.fixture
def two_tracks(tmp_path) -> Path:
    tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(len(SPEECH)) / 16_000)
    tracks = [SoundTrack(((0.0, samples[None]),)) for samples in (tone, SPEECH)]
    return write_tracks(tmp_path / "two.mkv", *tracks)


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov", "webm"])
def test_audio_in_a_video_container_is_an_audio_file(tmp_path, suffix):
    codec = {"webm": "libopus", "mp4": "aac"}.get(suffix, "pcm_s16le")
    rate = {"rate_hz": 48_000, "codec": codec} if codec == "libopus" else {"codec": codec}
    samples = SPEECH.repeat(3) if codec == "libopus" else SPEECH
    path = write_sound(tmp_path / f"voice.{suffix}", samples, **rate)
    table = predicted(path)
    assert modalities(table) == {"audio"}
    extracted(path, tmp_path / "s.zarr")
    view = Store.open(tmp_path / "s.zarr").video("voice")
    np.testing.assert_array_equal(view.times_s, table.columns["time_s"])
    np.testing.assert_allclose(np.diff(view.times_s), 0.04)


@pytest.mark.parametrize("fainter_db", [45, 60])
def test_faint_speech_has_similar_predictions(tmp_path, fainter_db):
    usual = predicted(write_sound(tmp_path / "usual.wav", SPEECH))
    faint = write_sound(tmp_path / "faint.wav", SPEECH * 10 ** (-fainter_db / 20), codec="pcm_s24le")
    progress = RecordingProgress()
    table = predicted(faint, progress)
    assert modalities(table) == {"audio"}
    for dimension in ("valence", "arousal"):
        assert np.abs(table.columns[dimension].mean() - usual.columns[dimension].mean()) < 0.2
    assert any("faint" in warning for warning in progress.warnings)


def test_faint_utterances_have_similar_predictions(tmp_path, data):
    from vacli.media.audio import read_sound

    for path in sorted((data / "emodb").iterdir())[::180]:
        usual, samples = predicted(path), read_sound(path).samples
        table = predicted(write_sound(tmp_path / "a.wav", samples * 10 ** (-50 / 20)))
        assert modalities(table) == {"audio"}
        moved = [abs(table.columns[d].mean() - usual.columns[d].mean()) for d in ("valence", "arousal")]
        assert moved[0] < 0.6
        assert moved[1] < 0.3


def test_ten_milliseconds_of_sound_are_no_basis(tmp_path):
    progress = RecordingProgress()
    table = predicted(write_sound(tmp_path / "a.wav", syllables(0.01)), progress)
    assert modalities(table) == {"none"}
    assert not table.columns["audio_present"].any()
    assert any("too short" in warning for warning in progress.warnings)
    extracted(tmp_path / "a.wav", tmp_path / "s.zarr")
    assert set(Store.open(tmp_path / "s.zarr").video("a").feature("egemaps")[1].tolist()) == {MISSING}


def test_digital_silence_is_no_basis(tmp_path):
    silent = write_sound(tmp_path / "a.wav", np.concatenate([SPEECH, np.zeros(80_000), SPEECH]))
    table = predicted(silent)
    middle = slice(110, 215)
    assert set(table.columns["modality"][middle].tolist()) == {"none"}
    assert set(table.columns["modality"][:95].tolist()) == {"audio"}
    extracted(silent, tmp_path / "s.zarr")
    flags = Store.open(tmp_path / "s.zarr").video("a").feature("egemaps")[1]
    np.testing.assert_array_equal(flags == MISSING, ~table.columns["audio_present"])


def test_a_hole_of_hours_has_no_rows(tmp_path):
    stretches = ((0.0, SPEECH[None]), (36_004.0, SPEECH[None]))
    path = write_tracks(tmp_path / "a.mka", SoundTrack(stretches))
    progress = RecordingProgress()
    table = predicted(path, progress)
    times_s = table.columns["time_s"]
    assert len(times_s) < 400
    assert (np.diff(times_s) > 0).all()
    assert times_s[-1] == pytest.approx(36_008, abs=0.05)
    assert modalities(table) == {"audio", "none"}
    assert any("missing for 36000 s" in warning for warning in progress.warnings)
    extracted(path, tmp_path / "s.zarr")
    np.testing.assert_array_equal(Store.open(tmp_path / "s.zarr").video("a").times_s, times_s)


def test_the_selected_track_is_reported_and_stored(two_tracks, tmp_path):
    progress = RecordingProgress()
    assert modalities(predicted(two_tracks, progress)) == {"audio"}
    assert any("audio track 2" in warning for warning in progress.warnings)
    store = tmp_path / "s.zarr"
    extracted(two_tracks, store)
    assert Store.open(store).video("two").part_attrs("feature/egemaps")["sound"]["track"] == 2


def test_another_track_gives_another_prediction(two_tracks, tmp_path):
    chosen = predicted(two_tracks, fill=True)
    first = predicted(two_tracks, fill=True, audio_track=1)
    assert np.abs(first.columns["arousal"] - chosen.columns["arousal"]).max() > 0.05
    second = predicted(two_tracks, fill=True, audio_track=2)
    np.testing.assert_array_equal(second.columns["arousal"], chosen.columns["arousal"])


def test_a_feature_of_another_track_needs_force(two_tracks, tmp_path):
    store = tmp_path / "s.zarr"
    extracted(two_tracks, store)
    assert extracted(two_tracks, store).skipped == ["two.mkv"]
    assert extracted(two_tracks, store, audio_track=2).skipped == ["two.mkv"]
    (failure,) = extracted(two_tracks, store, audio_track=1).failed
    assert "made from audio track 2" in failure.reason
    assert extracted(two_tracks, store, audio_track=1, force=True).done == ["two.mkv"]
    assert Store.open(store).video("two").part_attrs("feature/egemaps")["sound"]["track"] == 1


def test_a_missing_track_fails_only_its_input(two_tracks, tmp_path):
    other = write_sound(tmp_path / "one.wav", noise(1.0))
    made: list[FrameTable] = []
    settings = PredictSettings(inputs=(other, two_tracks), device="cpu", audio_track=2)
    batch = run(settings, made.append, RecordingProgress())
    assert [Path(failure.name) for failure in batch.failed] == [other]
    assert "audio track 2 does not exist; the file has 1: pcm_s16le" in batch.failed[0].reason
    assert [Path(table.name) for table in made] == [two_tracks]


def test_a_video_without_audio_is_visual(tmp_path):
    path = write_video(tmp_path / "a.mp4", [scene((110, 120))] * 10)
    assert modalities(predicted(path)) == {"visual"}
