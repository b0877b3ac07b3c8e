"""A store of an earlier version is written in the present layout, with the same values or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import xarray
from synth.crashes import crash
from synth.stores import add_video, put_feature, put_labels

from vacli.errors import StoreError, UsageError
from vacli.progress import RecordingProgress
from vacli.steps import repack
from vacli.store import Store, VideoView, seal
from vacli.store.repack import FolderSize, arrays_of, is_repacked

STORES = Path(__file__).parents[1] / "store"
VERSIONS = ("store-v1.zip", "store-v2.zip")


@pytest.fixture(params=VERSIONS)
def old(request, tmp_path) -> Store:
    return unpack(tmp_path / "old" / "s.zarr", request.param)


@pytest.fixture
def version_2(tmp_path) -> Store:
    return unpack(tmp_path / "old" / "s.zarr", "store-v2.zip")


def unpack(path: Path, name: str) -> Store:
    ZipFile(STORES / name).extractall(path)
    return Store.open(path)


def values(store: Store) -> dict[str, tuple[bytes, str, tuple[int, ...]]]:
    """All values of all videos under their present names."""
    found = {}
    for view in store.videos():
        for name in arrays_of(view):
            array = view.read(name)
            found[f"{view.id}/{name}"] = (array.tobytes(), str(array.dtype), array.shape)
    return found


def attributes(store: Store) -> dict[str, object]:
    found: dict[str, object] = {}
    for view in store.videos():
        found[view.id] = view.attrs
        for part in ("face", "label", *(f"feature/{name}" for name in view.feature_names())):
            if view.has(part):
                found[f"{view.id}/{part}"] = view.part_attrs(part)
    return found


def run(store: Path, out: Path | None = None) -> repack.RepackResult:
    return repack.run(repack.RepackSettings(store=store, out=out))


def test_a_store_keeps_its_values_and_attributes(old):
    before, described = values(old), attributes(old)
    result = run(old.path)
    assert sorted(result.done) == old.video_ids()
    again = Store.open(old.path)
    assert values(again) == before
    assert attributes(again) == described
    assert all(is_repacked(view) for view in again.videos())
    assert result.after == FolderSize.of(old.path)
    assert result.after.size_bytes < result.before.size_bytes
    assert not (old.path / ".work").exists()


def test_a_store_of_format_2_is_read_as_it_is(version_2):
    view = version_2.video("long")
    rows, flags = view.feature("xa")
    assert np.flatnonzero(np.isnan(rows[:, 0])).tolist() == np.flatnonzero(flags).tolist() == [1]
    assert rows[2:].tolist() == np.arange(6, 150).reshape(48, 3).tolist()
    crops = list(view.crops(range(8)))
    assert [crop if crop is None else round(float(crop.mean())) for crop in crops] == [
        0,
        1,
        None,
        3,
        4,
        5,
        None,
        7,
    ]
    assert view.read("face/detected")[:4].tolist() == [True, True, False, True]
    assert view.source["path"] == "/data/videos/long.mp4"
    assert not is_repacked(view)


def test_crops_and_tables_of_long_videos_lose_their_gaps(version_2):
    before = FolderSize.of(version_2.path / "long")
    run(version_2.path)
    after = FolderSize.of(version_2.path / "long")
    assert after.files < before.files
    view = version_2.video("long")
    assert FolderSize.of(view.path / "face" / "crop" / "c").files == 1
    assert view.array("feature/xa").shape == (50, 3)


def test_time_becomes_the_coordinate_and_paths_become_relative(version_2):
    run(version_2.path)
    tree = xarray.open_datatree(version_2.path, engine="zarr", consolidated=False)
    assert tree["long/face"].sel(time=0.4)["track"] == -1
    assert not [p for p in version_2.path.rglob("zarr.json") if '"/data' in p.read_text()]


def test_another_store_gets_the_videos_and_the_old_one_stays(old, tmp_path):
    before, described, size = values(old), attributes(old), FolderSize.of(old.path)
    out = tmp_path / "elsewhere" / "new.zarr"
    result = run(old.path, out)
    assert (result.out, result.before, FolderSize.of(old.path)) == (out, size, size)
    assert values(Store.open(out)) == before
    assert attributes(Store.open(out)) == described
    assert not any(is_repacked(view) for view in old.videos())


def test_a_second_run_skips_what_is_done(version_2, tmp_path):
    run(version_2.path, tmp_path / "t.zarr")
    run(version_2.path)
    for out in (tmp_path / "t.zarr", None):
        files = sorted((tmp_path / "t.zarr").rglob("*")) + sorted(version_2.path.rglob("*"))
        before = [path.stat().st_mtime_ns for path in files if path.is_file()]
        assert (run(version_2.path, out).skipped, run(version_2.path, out).done) == (["long", "short"], [])
        assert [path.stat().st_mtime_ns for path in files if path.is_file()] == before


def test_a_video_with_a_part_in_the_present_layout_is_written_again(version_2):
    with version_2.stage("short", "label", {"split": "test"}) as part:
        part.append("valence", np.zeros(5, np.float32))
        part.append("arousal", np.zeros(5, np.float32))
    tree = xarray.open_datatree(version_2.path, engine="zarr", consolidated=False)
    assert tree["short/label"]["valence"].dims == ("time",)
    assert tree["short/face"]["box"].dims == ("frame", "xyxy")
    assert run(version_2.path).done == ["long", "short"]
    assert version_2.video("short").part_attrs("label") == {"split": "test"}
    assert is_repacked(version_2.video("short"))


def test_a_repacked_video_can_be_written_to(version_2):
    run(version_2.path)
    view = version_2.video("long")
    version_2.put_feature("long", {**view.part_attrs("feature/xa"), "name": "xb"}, *view.feature("xa"))
    version_2.drop_feature("long", "xa")
    with version_2.stage("long", "face", {"settings": {}}, drop_features=["xb"]) as part:
        part.append("detected", np.zeros(50, bool))
    again = Store.open(version_2.path).video("long")
    assert (again.feature_names(), again.has("feature/xa"), again.has("flag/xa")) == ([], False, False)
    assert not again.read("face/detected").any()
    assert again.part_attrs("label") == {"split": "train"}


def test_a_damaged_video_stays_and_the_others_are_done(version_2):
    chunk = version_2.path / "long" / "label" / "valence" / "c" / "0"
    chunk.write_bytes(chunk.read_bytes()[:-1])
    before = {p: p.read_bytes() for p in (version_2.path / "long").rglob("*") if p.is_file()}
    progress = RecordingProgress()
    result = repack.run(repack.RepackSettings(store=version_2.path), progress)
    assert (result.done, [failure.name for failure in result.failed]) == (["short"], ["long"])
    assert "label/valence" in result.failed[0].reason
    assert "va import-labels --force" in result.failed[0].reason
    assert {p: p.read_bytes() for p in (version_2.path / "long").rglob("*") if p.is_file()} == before


def test_files_of_other_programs_are_not_lost(version_2):
    (version_2.path / "short" / "notes.txt").write_text("of a person")
    result = run(version_2.path)
    assert [failure.name for failure in result.failed] == ["short"]
    assert "notes.txt" in result.failed[0].reason
    assert (version_2.path / "short" / "notes.txt").read_text() == "of a person"


def test_a_wrong_copy_does_not_replace_the_video(version_2, monkeypatch):
    before = values(version_2)
    read = VideoView.read

    def wrong(view: VideoView, array: str, rows: slice = slice(None)) -> np.ndarray:
        found = read(view, array, rows)
        return found + 1 if array == "face/box" and view.id == "new" else found

    monkeypatch.setattr(VideoView, "read", wrong)
    result = run(version_2.path)
    assert len(result.failed) == 2
    assert "face/box differs from its copy" in result.failed[0].reason
    monkeypatch.undo()
    assert values(Store.open(version_2.path)) == before
    assert not any(is_repacked(view) for view in version_2.videos())


def test_a_change_by_another_process_is_kept(version_2, monkeypatch):
    seal_folder = seal.seal
    other = Store.open(version_2.path)

    def change(folder: Path) -> None:
        seal_folder(folder)
        if folder.name == "label":
            monkeypatch.undo()
            with other.stage("long", "label", {"split": "test"}) as part:
                part.append("valence", np.ones(50, np.float32))
                part.append("arousal", np.ones(50, np.float32))

    monkeypatch.setattr(seal, "seal", change)
    result = run(version_2.path)
    assert "run it again" in result.failed[0].reason
    assert result.done == ["short"]
    assert version_2.video("long").read("label/valence").tolist() == [1] * 50
    assert run(version_2.path).done == ["long"]


def test_a_store_inside_the_store_is_refused(version_2):
    with pytest.raises(UsageError, match="lies inside the store"):
        run(version_2.path, version_2.path / "sub.zarr")
    with pytest.raises(StoreError, match="no store at"):
        run(version_2.path / "absent.zarr")


def test_another_recording_of_the_same_name_is_not_overwritten(version_2, tmp_path):
    add_video(Store.open_or_create(tmp_path / "t.zarr"), "long", 3)
    result = run(version_2.path, tmp_path / "t.zarr")
    assert result.done == ["short"]
    assert "differs from" in result.failed[0].reason
    assert len(Store.open(tmp_path / "t.zarr").video("long").times_s) == 3


def test_the_own_store_as_output_is_replaced(version_2):
    assert run(version_2.path, version_2.path).done == ["long", "short"]
    assert all(is_repacked(view) for view in version_2.videos())


@pytest.mark.skipif(os.name == "nt", reason="needs fork and SIGKILL")
def test_a_killed_run_leaves_the_old_video_or_the_new_one(tmp_path, version_2):
    (changes,) = crash("synth.crash_jobs:repack_store", [_copied(version_2, tmp_path / "whole")], [1 << 30])
    before = values(version_2)
    points = [1 + number * (changes - 1) // 7 for number in range(8)]
    folders = [_copied(version_2, tmp_path / str(point)) for point in points]
    assert crash("synth.crash_jobs:repack_store", folders, points) == [None] * len(points)
    for folder in folders:
        assert values(Store.open(folder / "s.zarr")) == before
        assert not run(folder / "s.zarr").failed
        assert values(Store.open(folder / "s.zarr")) == before
        assert all(is_repacked(view) for view in Store.open(folder / "s.zarr").videos())


def _copied(store: Store, folder: Path) -> Path:
    shutil.copytree(store.path, folder / "s.zarr")
    return folder


def test_the_root_of_a_store_stays_as_it_is(old):
    """It is the file that processes lock."""
    meta = old.path / "zarr.json"
    before = meta.stat().st_ino, meta.read_bytes()
    run(old.path)
    assert (meta.stat().st_ino, meta.read_bytes()) == before


def change_labels(store: Store) -> None:
    put_labels(store, "clip", 0.5 * np.ones((4, 2)))


def change_the_subject(store: Store) -> None:
    with store.stage("clip", "label", {"split": "", "subject": "ann"}) as writer:
        writer.append("valence", np.zeros(4, np.float32))
        writer.append("arousal", np.zeros(4, np.float32))


def change_a_feature(store: Store) -> None:
    put_feature(store, "clip", "xa", np.ones((4, 3)))


def change_the_crops(store: Store) -> None:
    with store.stage("clip", "face", {}) as writer:
        writer.append_images("crop", [b"other"] * 4)


def add_a_feature(store: Store) -> None:
    put_feature(store, "clip", "ya", np.ones((4, 3)))


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (change_labels, "label"),
        (change_the_subject, "label"),
        (change_a_feature, "feature/xa"),
        (change_the_crops, "face"),
        (add_a_feature, "feature/ya, flag/ya"),
    ],
)
def test_a_copy_of_a_video_that_has_changed_since_is_refused(tmp_path, change, part):
    store, out = Store.open_or_create(tmp_path / "s.zarr"), tmp_path / "r.zarr"
    add_video(store, "clip", 4)
    put_labels(store, "clip", np.zeros((4, 2)))
    put_feature(store, "clip", "xa", np.zeros((4, 3)))
    with store.stage("clip", "face", {}) as writer:
        writer.append_images("crop", [b"face"] * 4)
    assert run(store.path, out).done == ["clip"]
    put_feature(store, "clip", "xa", np.zeros((4, 3)))  # the same values
    assert run(store.path, out).skipped == ["clip"]
    change(store)
    (failure,) = run(store.path, out).failed
    assert f"{out / 'clip'} differs from {store.path / 'clip'} in {part};" in failure.reason
    shutil.rmtree(out / "clip")
    assert run(store.path, out).done == ["clip"]
