from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from synth.faces import portrait, scene, somebody_else, write_video

from vacli.errors import UsageError
from vacli.progress import RecordingProgress
from vacli.spec import AUDIO, VISUAL, FeatureSpec
from vacli.steps.align import AlignSettings, run
from vacli.store import Store


def align(tmp_path: Path, *inputs: Path, **more) -> tuple:
    progress = RecordingProgress()
    batch = run(AlignSettings(tuple(inputs), tmp_path / "s.zarr", **more), progress)
    return batch, Store.open(tmp_path / "s.zarr"), progress


@pytest.fixture
def video(tmp_path) -> Path:
    pictures = [scene((150 + i, 120)) for i in range(5)] + [scene(None)] * 2 + [scene((155, 120))]
    return write_video(tmp_path / "anna.mp4", pictures)


def pair(tmp_path: Path) -> Path:
    """Two people side by side, the right one larger."""
    right = scene((80, 120), somebody_else(), zoom=0.9)
    both = np.concatenate([scene((80, 120), zoom=0.6)[:, :160], right[:, :160]], 1)
    return write_video(tmp_path / "pair.mp4", [both] * 3)


def test_every_frame_has_a_row_with_or_without_a_face(tmp_path, video):
    batch, store, _ = align(tmp_path, video)
    assert (batch.done, batch.failed, batch.out) == ([str(video)], [], tmp_path / "s.zarr")
    view = store.video("anna")
    detected = np.array([True] * 5 + [False] * 2 + [True])
    assert np.array_equal(view.read("face/detected"), detected)
    assert np.array_equal(view.read("face/track"), np.where(detected, 0, -1))
    for name, shape in {"box": (4,), "landmarks": (5, 2), "score": (), "sharpness": (), "size": ()}.items():
        values = view.read(f"face/{name}")
        assert values.shape == (8, *shape)
        assert np.array_equal(np.isfinite(values.reshape(8, -1)).all(1), detected)
    np.testing.assert_allclose(view.times_s, np.arange(8) / 25, atol=1e-6)


def test_crops_are_close_to_the_aligned_faces_and_small(tmp_path, video):
    from vacli.faces.tracker import track_faces
    from vacli.media.video import open_video

    _, store, _ = align(tmp_path, video)
    view = store.video("anna")
    assert view.crop(5) is None
    with open_video(video) as reader:
        faces = [frame.faces[0].crop for frame in track_faces(reader) if frame.faces]
    stored = [crop for crop in view.crops(range(8)) if crop is not None]
    for crop, face in zip(stored, faces, strict=True):
        assert 10 * np.log10(255**2 / np.mean((crop.astype(float) - face) ** 2)) > 38
    assert view.read("face/crop_size")[view.read("face/detected")].mean() < 20_000


def test_complete_entries_are_skipped_and_other_settings_need_force(tmp_path, video):
    align(tmp_path, video)
    batch, _, progress = align(tmp_path, video)
    assert batch.skipped == [str(video)]
    assert progress.messages == ["anna: complete, skipped"]
    batch, _, _ = align(tmp_path, video, crops=False)
    assert "other settings" in batch.failed[0].reason
    assert "--force" in batch.failed[0].reason
    batch, store, _ = align(tmp_path, video, crops=False, force=True)
    assert batch.done == [str(video)]
    assert not store.video("anna").has_crops()


def test_new_faces_remove_visual_features_of_the_old_ones(tmp_path, video):
    _, store, _ = align(tmp_path, video)
    flags = np.zeros(8, np.uint8)
    for name, modality in (("face", VISUAL), ("sound", AUDIO)):
        spec = FeatureSpec(name=name, version="1", modality=modality, dim=2).attributes()
        store.put_feature("anna", spec, np.zeros((8, 2), np.float32), flags)
    align(tmp_path, video, force=True)
    assert store.video("anna").feature_names() == ["sound"]


def test_surplus_people_are_removed(tmp_path):
    video = pair(tmp_path)
    _, store, _ = align(tmp_path, video, face="all")
    first = store.video("pair")
    store.add_video("pair_face3", first.times_s, source=first.source, stream={})
    align(tmp_path, video, face="all", force=True)
    assert store.video_ids() == ["pair", "pair_face2"]


def test_all_stores_one_entry_per_person_and_sides_have_suffixes(tmp_path):
    video = pair(tmp_path)
    align(tmp_path, video, face="all")
    align(tmp_path, video, face="left")
    batch, store, _ = align(tmp_path, video, face="right")
    assert batch.failed == []
    assert store.video_ids() == ["pair", "pair_face2", "pair_left", "pair_right"]
    centres = {name: store.video(name).read("face/box")[0, [0, 2]].mean() for name in store.video_ids()}
    assert centres["pair"] == centres["pair_right"] > 160 > centres["pair_left"] == centres["pair_face2"]
    batch, _, _ = align(tmp_path, video, face="all")
    assert batch.skipped == [str(video)]


def test_a_bad_file_is_reported_and_the_others_are_aligned(tmp_path, video):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"not a video at all")
    batch, _, progress = align(tmp_path, bad, video, tmp_path / "absent.mp4")
    assert batch.done == [str(video)]
    assert {Path(f.name).name for f in batch.failed} == {"bad.mp4", "absent.mp4"}
    assert len(progress.warnings) == 2


def test_a_damaged_stream_keeps_the_readable_frames(tmp_path):
    whole = write_video(tmp_path / "whole.avi", [scene((150 + i, 120)) for i in range(12)])
    data = bytearray(whole.read_bytes())
    start, end = len(data) // 2, len(data) * 9 // 10
    data[start:end] = bytes(end - start)
    broken = tmp_path / "broken.avi"
    broken.write_bytes(data)
    batch, store, progress = align(tmp_path, broken)
    assert batch.done == [str(broken)]
    detected = store.video("broken").read("face/detected")
    assert 3 <= detected.sum() < 12
    assert detected[:3].all()
    assert store.video("broken").part_attrs("face")["broken"]
    assert "are kept" in progress.warnings[0]


def test_a_video_without_faces_has_all_rows_and_a_warning(tmp_path):
    batch, store, progress = align(tmp_path, write_video(tmp_path / "wall.mp4", [scene(None)] * 4))
    assert len(batch.done) == 1
    assert store.video("wall").read("face/detected").tolist() == [False] * 4
    assert "no frame shows a face" in progress.warnings[0]


def crop_folder(path: Path, numbers: list[int]) -> Path:
    path.mkdir(parents=True)
    for number in numbers:
        Image.fromarray(portrait()[40:152, 170:282]).save(path / f"{number:05d}.jpg")
    return path


def test_folders_of_aligned_faces_are_stored_without_detection(tmp_path):
    folder = crop_folder(tmp_path / "cropped_aligned" / "10-60-1280x720.v2", [1, 2, 5])
    batch, store, _ = align(tmp_path, tmp_path / "cropped_aligned")
    assert batch.done == [str(folder)]
    view = store.video("10-60-1280x720.v2")
    assert view.read("face/detected").tolist() == [True, True, False, False, True]
    assert view.crop(0).shape == (224, 224, 3)
    assert np.isnan(view.read("face/box")).all()
    batch, _, _ = align(tmp_path, tmp_path / "cropped_aligned")
    assert batch.skipped == [str(folder)]


@pytest.mark.parametrize("trial", ["anna", "anna_left"])
def test_aligned_faces_use_the_frame_times_of_their_video(tmp_path, video, trial):
    folder = crop_folder(tmp_path / "cropped_aligned" / trial, [1, 4])
    batch, store, progress = align(tmp_path, folder.parent, video)
    assert (batch.done, batch.skipped) == ([str(folder)], [])
    view = store.video(trial)
    assert len(view.times_s) == 8
    assert np.flatnonzero(view.read("face/detected")).tolist() == [0, 3]
    assert "its aligned faces are given" in progress.messages[0]


def two_batches(tmp_path: Path, first: Path, second: Path) -> Path:
    """A folder with two files called anna.mp4 in two batches."""
    for batch, source in (("batch1", first), ("batch2", second)):
        (tmp_path / "videos" / batch).mkdir(parents=True)
        shutil.copy(source, tmp_path / "videos" / batch / "anna.mp4")
    return tmp_path / "videos"


def test_aligned_faces_accept_two_copies_of_their_video(tmp_path, video):
    folder = crop_folder(tmp_path / "cropped_aligned" / "anna", [1, 4])
    batch, store, progress = align(tmp_path, folder.parent, two_batches(tmp_path, video, video))
    assert (batch.done, batch.failed) == ([str(folder)], [])
    assert store.video_ids() == ["anna"]
    assert len(store.video("anna").times_s) == 8
    assert sum("its aligned faces are given" in message for message in progress.messages) == 2


def test_aligned_faces_of_two_different_videos_fail(tmp_path, video):
    other = write_video(tmp_path / "other.mp4", [scene((200, 120))] * 4)
    folder = crop_folder(tmp_path / "cropped_aligned" / "anna", [1, 4])
    batch, store, _ = align(tmp_path, folder.parent, two_batches(tmp_path, video, other))
    assert (batch.done, store.video_ids()) == ([], [])
    (failure,) = batch.failed
    assert re.match(r"anna: 2 different videos have this name \(.*batch1.*, .*batch2.*\)", failure.reason)


@pytest.mark.parametrize("wrong", [{"face": "biggest"}, {"backend": "vlc"}])
def test_an_invalid_setting_raises_before_any_work(tmp_path, video, wrong):
    with pytest.raises(UsageError):
        align(tmp_path, video, **wrong)
    assert not (tmp_path / "s.zarr").exists()
