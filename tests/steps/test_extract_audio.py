from __future__ import annotations

import shutil
import wave
from pathlib import Path

import numpy as np
import pytest
from synth.clips import Clip, steady, uneven, write_clip
from synth.sounds import RATE_HZ, noise, voice

from vacli.errors import StoreError, UsageError, WeightsError
from vacli.features.flags import MISSING, PADDED, SILENT
from vacli.progress import RecordingProgress
from vacli.steps import extract_audio
from vacli.steps.extract_audio import ExtractAudioSettings, run
from vacli.store import Store

pytest.importorskip("opensmile", reason="openSMILE is not installed")


def extract(*inputs: Path, **settings):
    return run(ExtractAudioSettings(inputs=inputs, **settings))


def write_wav(path: Path, samples: np.ndarray, rate_hz: int = RATE_HZ, channels: int = 1) -> Path:
    pcm = (np.repeat(samples[:, None], channels, axis=1).clip(-1, 1) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, rate_hz, 0, "NONE", ""))
        file.writeframes(pcm.tobytes())
    return path


def clip(path: Path, **content) -> Path:
    content = {"times_s": steady(25, 2.0), "sound_spans": ((0.0, 2.0),), "events": (25,)} | content
    return write_clip(path, Clip(**content))


@pytest.fixture
def out(tmp_path):
    return tmp_path / "s.zarr"


def test_a_video_has_rows_at_its_frame_times(tmp_path, out):
    times_s = uneven(2.0)
    batch = extract(clip(tmp_path / "a.mkv", times_s=times_s, events=(10, 30)), store=out)
    view = Store.open(out).video("a")
    assert (batch.out, batch.done, batch.failed) == (out, ["a.mkv"], [])
    np.testing.assert_allclose(view.times_s, times_s, atol=1e-3)
    for name, dim in (("egemaps", 23), ("mfcc39", 39)):
        values, flags = view.feature(name)
        assert values.shape == (len(times_s), dim)
        assert view.part_attrs(f"feature/{name}")["columns"][0] in ("Loudness_sma3", "mfcc1")
        assert set(flags[5:-5].tolist()) <= {0, SILENT}
    assert view.source["path"] == str(tmp_path / "a.mkv")
    assert view.attrs["stream"]["audio"]["codec"] == "aac"


def test_a_click_is_in_the_row_of_its_flash(tmp_path, out):
    extract(clip(tmp_path / "a.mkv", events=(25,)), store=out, features=("egemaps",))
    values, _ = Store.open(out).video("a").feature("egemaps")
    assert values[:, 0].argmax() == 25


def test_an_audio_file_has_25_rows_per_second(tmp_path, out):
    extract(write_wav(tmp_path / "a.wav", voice(1.5)), store=out, features=("mfcc39",))
    view = Store.open(out).video("a")
    np.testing.assert_allclose(view.times_s, np.arange(38) / 25)
    values, flags = view.feature("mfcc39")
    assert np.isfinite(values).all()
    assert flags[0] == PADDED
    assert not flags[2:-2].any()


@pytest.mark.parametrize(("rate_hz", "channels"), [(8000, 1), (44_100, 2), (96_000, 6)])
def test_any_sample_rate_and_channel_count_is_read(tmp_path, out, rate_hz, channels):
    tone = 0.2 * np.sin(2 * np.pi * 220 * np.arange(rate_hz) / rate_hz)
    batch = extract(write_wav(tmp_path / "a.wav", tone, rate_hz, channels), store=out, features=("egemaps",))
    values, _ = Store.open(out).video("a").feature("egemaps")
    assert batch.done == ["a.wav"]
    columns = list(Store.open(out).video("a").part_attrs("feature/egemaps")["columns"])
    semitones = values[5:-5, columns.index("F0semitoneFrom27.5Hz_sma3nz")]
    assert np.median(semitones) == pytest.approx(36.0, abs=0.3)  # three octaves over 27.5 Hz


def test_a_video_without_audio_is_flagged_and_an_invalid_file_fails(tmp_path, out):
    silent = clip(tmp_path / "mute.mkv", sound_spans=())
    (tmp_path / "junk.wav").write_bytes(b"no sound in here")
    progress = RecordingProgress()
    batch = run(ExtractAudioSettings(inputs=(tmp_path,), store=out), progress)
    assert batch.done == [silent.name]
    assert [failure.name for failure in batch.failed] == ["junk.wav"]
    assert any("has no audio" in warning for warning in progress.warnings)
    values, flags = Store.open(out).video("mute").feature("egemaps")
    assert np.isnan(values).all()
    assert set(flags.tolist()) == {MISSING}
    assert Store.open(out).video_ids() == ["mute"]


def test_rows_after_the_end_of_the_audio_are_missing(tmp_path, out):
    extract(clip(tmp_path / "a.mkv", sound_spans=((0.0, 1.0),), events=(3,)), store=out)
    values, flags = Store.open(out).video("a").feature("mfcc39")
    np.testing.assert_array_equal(np.isnan(values).all(axis=1), flags == MISSING)
    assert 22 <= (flags != MISSING).sum() <= 28


def test_complete_features_are_skipped_and_other_settings_need_force(tmp_path, out):
    source = write_wav(tmp_path / "a.wav", noise(0.5))
    wanted = {"store": out, "features": ("gemaps-functionals", "mfcc39")}
    assert extract(source, **wanted).done == ["a.wav"]
    assert extract(source, **wanted).skipped == ["a.wav"]
    refused = extract(source, **wanted, window_s=0.4)
    assert "--force" in refused.failed[0].reason
    assert extract(source, **wanted, window_s=0.4, force=True).done == ["a.wav"]
    attributes = Store.open(out).video("a").part_attrs("feature/gemaps-functionals")
    assert attributes["settings"]["window_s"] == 0.4
    more = extract(source, store=out, features=("mfcc39", "egemaps"))
    assert more.done == ["a.wav"]
    assert Store.open(out).video("a").feature_names() == ["egemaps", "gemaps-functionals", "mfcc39"]


def test_a_tag_is_part_of_the_stored_name(tmp_path, out):
    source = write_wav(tmp_path / "a.wav", noise(0.5))
    extract(source, store=out, features=("gemaps-functionals",), window_s=0.2, tag="short")
    extract(source, store=out, features=("gemaps-functionals",))
    assert Store.open(out).video("a").feature_names() == ["gemaps-functionals", "gemaps-functionals@short"]


@pytest.mark.torch
def test_vggish_receives_its_settings(tmp_path, out, monkeypatch):
    given = {}

    def refuse(**settings):
        given.update(settings)
        raise WeightsError("no weights")

    monkeypatch.setattr("vacli.features.vggish.extractor.Vggish", refuse)
    weights = tmp_path / "v.pth"
    with pytest.raises(WeightsError):
        extract(
            tmp_path, store=out, features=("vggish",), weights=weights, align="causal", pca=True, device="cpu"
        )
    assert (given["weights"], given["align"]) == (weights, "causal")
    assert given["postprocessing"].pca
    assert not given["postprocessing"].final_relu
    assert given["execution"].device == "cpu"


def test_the_recordings_of_a_store_are_read_again(tmp_path, out):
    path = clip(tmp_path / "a.mkv", times_s=steady(10, 2.0), events=())
    extract(path, store=out, features=("mfcc39",))
    assert extract(out, features=("egemaps",)).done == ["a.mkv"]
    assert len(Store.open(out).video("a").feature("egemaps")[0]) == 20
    path.rename(tmp_path / "b.mkv")
    gone = extract(out, features=("egemaps-v02",))
    assert "does not exist" in gone.failed[0].reason
    moved = extract(tmp_path / "b.mkv", store=out, features=("egemaps-v02",))
    assert moved.done == ["b.mkv"]
    assert Store.open(out).video_ids() == ["a"]


def test_several_people_of_one_recording_share_its_features(tmp_path, out):
    path = clip(tmp_path / "a.mkv", events=())
    extract(path, store=out, features=("mfcc39",))
    store = Store.open(out)
    one = store.video("a")
    store.add_video("a_left", one.times_s, source=one.source, stream={})
    assert extract(out, features=("mfcc39",)).done == ["a.mkv"]
    np.testing.assert_array_equal(store.video("a_left").feature("mfcc39")[0], one.feature("mfcc39")[0])


def test_files_of_the_same_name_have_separate_entries(tmp_path, out):
    for place in ("x", "y"):
        (tmp_path / place).mkdir()
        write_wav(tmp_path / place / "a.wav", noise(0.3, seed=ord(place)))
    assert len(extract(tmp_path, store=out, features=("mfcc39",), workers=2).done) == 2
    assert Store.open(out).video_ids() == ["a", "a-2"]


def test_invalid_settings_raise(tmp_path, out):
    path = write_wav(tmp_path / "a.wav", noise(0.3))
    with pytest.raises(UsageError, match="no audio feature called 'egemap'"):
        extract(path, store=out, features=("egemap",))
    with pytest.raises(UsageError, match="--weights w: 2 of the features have weights"):
        extract(path, store=out, features=("vggish", "wavlm", "egemaps"), weights=Path("w"))
    with pytest.raises(UsageError, match="no store is given"):
        extract(path)
    Store.open_or_create(tmp_path / "other.zarr")
    with pytest.raises(UsageError, match="stored with their video"):
        extract(tmp_path / "other.zarr", store=out)
    with pytest.raises(StoreError):
        shutil.copytree(tmp_path / "other.zarr", tmp_path / "broken.zarr")
        (tmp_path / "broken.zarr" / "zarr.json").write_text("{}")
        extract(tmp_path / "broken.zarr")


def test_a_missing_path_does_not_stop_the_others(tmp_path, out):
    path = write_wav(tmp_path / "a.wav", noise(0.3))
    batch = run(ExtractAudioSettings(inputs=(tmp_path / "none.wav", path), store=out, features=("mfcc39",)))
    assert [failure.name for failure in batch.failed] == [str(tmp_path / "none.wav")]
    assert batch.done == ["a.wav"]


def test_real_clips_are_extracted(clips, out):
    names = (
        "08_face_noface_hevc_vfr.mov",
        "22_derived_no_audio_track.mp4",
        "24_derived_video_starts_0.5s_late.mp4",
    )
    batch = extract(*(clips / name for name in names), store=out, features=("mfcc39", "egemaps"))
    assert batch.done == list(names)
    store = Store.open(out)
    assert set(store.video("22_derived_no_audio_track").feature("mfcc39")[1].tolist()) == {MISSING}
    late = store.video("08_face_noface_hevc_vfr")  # its audio begins after 2.43 s
    present = late.feature("egemaps")[1] != MISSING
    assert late.times_s[present][0] == pytest.approx(2.43, abs=0.05)
    for view in store.videos():
        values, flags = view.feature("egemaps")
        assert len(values) == len(view.times_s)
        np.testing.assert_array_equal(np.isnan(values).any(axis=1), flags == MISSING)


@pytest.mark.parametrize("window_s", [1.0, 2.0])
def test_two_processes_with_other_settings_at_once_are_reported(tmp_path, out, monkeypatch, window_s):
    path = write_wav(tmp_path / "a.wav", voice(2.0))
    Store.open_or_create(out)
    features = ("egemaps-functionals",)
    plain, stored = extract_audio.rows_and_flags, []

    def rows_and_flags(*args):
        """Another process stores the feature while this one computes it."""
        if not stored:
            stored.append(True)
            assert extract(path, store=out, features=features, workers=1).failed == []
        return plain(*args)

    monkeypatch.setattr(extract_audio, "rows_and_flags", rows_and_flags)
    batch = extract(path, store=out, features=features, workers=1, window_s=window_s)
    attributes = Store.open(out).video("a").part_attrs("feature/egemaps-functionals")
    assert attributes["settings"]["window_s"] == 1.0  # that of the other process
    reasons = [failure.reason for failure in batch.failed]
    if window_s == 1.0:
        assert reasons == []
    else:
        assert len(reasons) == 1
        assert reasons[0].endswith(
            "a has egemaps-functionals made with other settings; use --force to replace it"
        )
