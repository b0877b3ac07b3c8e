"""What is damaged is named with its path and what makes it again; it is never read as if it were whole."""

from __future__ import annotations

import json
import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from synth.stores import add_video, empty, put_feature, put_labels

from vacli.errors import StoreError
from vacli.features.flags import MISSING
from vacli.store import Store, VideoView
from vacli.store.seal import CHUNKS, MEMBERS, SEAL

FRAMES = 40
ROWS = np.random.default_rng(3).normal(size=(FRAMES, 3)).astype(np.float32)


@pytest.fixture
def view(tmp_path) -> VideoView:
    store = empty(tmp_path / "s.zarr")
    add_video(store, "clip", FRAMES)
    with store.stage("clip", "face", {"settings": {}}) as part:
        part.append("detected", np.ones(FRAMES, bool))
        part.append("track", np.zeros(FRAMES, np.int32))
        part.append_images("crop", [b"crop"] * FRAMES)
    put_feature(store, "clip", "xa", ROWS)
    put_labels(store, "clip", ROWS[:, :2])
    return store.video("clip")


def read_all(path: Path) -> list[np.ndarray]:
    """Everything that the steps read of a video."""
    view = Store.open(path.parent).video("clip")
    view.part_attrs("label")
    arrays = [view.times_s, *view.feature("xa"), view.read("label/valence"), view.read("label/arousal")]
    out = np.empty((FRAMES, 3), np.float32)
    view.read_into("feature/xa", 0, out)
    if view.has("face"):
        arrays += [view.read("face/detected"), view.read("face/crop_size")]
        arrays += [view.read("face/track")] if view.has("face/track") else []
        list(view.crop_bytes(range(FRAMES)))
    return [*arrays, out, np.array(str(view.attrs)), np.array(str(view.part_attrs("face")))]


def forget_seals(folder: Path) -> None:
    """Make it a store of a version that had no checksums."""
    for path in folder.rglob("zarr.json"):
        meta = json.loads(path.read_text())
        for key in (SEAL, CHUNKS, MEMBERS, "edition"):
            meta.get("attributes", {}).pop(key, None)
        path.write_text(json.dumps(meta))


def files_of(view: VideoView) -> list[Path]:
    groups = {view.path / "feature" / "zarr.json", view.path / "flag" / "zarr.json"}
    return sorted(path for path in view.path.rglob("*") if path.is_file() and path not in groups)


def test_missing_cut_and_changed_files_are_named(view):
    whole = read_all(view.path)
    assert len(files_of(view)) > 15
    for file in files_of(view):
        data = file.read_bytes()
        for harm in (None, b"", data[: len(data) // 2], data[:-1] + bytes([data[-1] ^ 1]), b"[1, 2]"):
            file.unlink()
            if harm is not None:
                file.write_bytes(harm)
            with pytest.raises(StoreError, match="clip") as caught:
                read_all(view.path)
            assert caught.value.hint
            file.write_bytes(data)
    for one, other in zip(read_all(view.path), whole, strict=True):
        np.testing.assert_array_equal(one, other)


def test_missing_folders_are_named(view):
    for folder in ("time", "face/track", "face/crop", "feature/xa", "flag/xa", "label", "label/valence"):
        (view.path / folder).rename(view.path.parent / ".aside")
        with pytest.raises(StoreError, match=folder.partition("/")[0]):
            read_all(view.path)
        (view.path.parent / ".aside").rename(view.path / folder)
    read_all(view.path)


PARTS = ("", "face", "label", "feature/xa", "flag/xa", "feature/xb")


@pytest.mark.parametrize(("part", "other"), [p for p in product(PARTS[:-1], PARTS) if p[0] != p[1]])
def test_metadata_of_another_part_is_refused(view, part, other):
    put_feature(Store.open(view.path.parent), "clip", "xb", ROWS)
    read_all(view.path)
    shutil.copyfile(view.path / other / "zarr.json", view.path / part / "zarr.json")
    with pytest.raises(StoreError, match="clip") as caught:
        read_all(view.path)
    assert caught.value.hint


def test_attributes_of_another_part_are_refused(view):
    for part, other in (("feature/xa", "flag/xa"), ("label", "face"), ("", "label")):
        shutil.copyfile(view.path / other / "zarr.json", view.path / part / "zarr.json")
        with pytest.raises(StoreError, match=f"{part or 'clip'} has"):
            Store.open(view.path.parent).video("clip").part_attrs(part)


def test_a_group_without_one_of_its_members_is_refused(view):
    shutil.rmtree(view.path / "label" / "arousal")
    with pytest.raises(StoreError, match="label has no arousal"):
        Store.open(view.path.parent).video("clip").part_attrs("label")


@pytest.mark.parametrize(
    ("part", "command"),
    [
        ("face/detected", "va align --force"),
        ("label/valence", "va import-labels --force"),
        ("feature/xa", "--force"),
    ],
)
def test_the_error_names_the_command_that_makes_the_part_again(view, part, command):
    (view.path / part / "zarr.json").write_text("{")
    with pytest.raises(StoreError, match=part) as caught:
        read_all(view.path)
    assert command in caught.value.hint


def test_lost_chunks_of_earlier_versions_are_found(view):
    forget_seals(view.path)
    read_all(view.path)
    for chunk in ("time/c/0", "feature/xa/c/0/0"):
        data = (view.path / chunk).read_bytes()
        (view.path / chunk).unlink()
        with pytest.raises(StoreError, match="has lost chunks"):
            read_all(view.path)
        (view.path / chunk).write_bytes(data)


def test_a_chunk_of_missing_rows_has_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr("vacli.store.layout.CHUNK_BYTES", 60)
    store = empty(tmp_path / "s.zarr")
    add_video(store, "clip", FRAMES)
    rows, flags = ROWS.copy(), np.zeros(FRAMES, np.uint8)
    rows[10:20], flags[10:20] = np.nan, MISSING
    put_feature(store, "clip", "xa", rows, flags)
    folder = tmp_path / "s.zarr" / "clip"
    assert not (folder / "feature" / "xa" / "c" / "2").exists()
    for _ in ("as it is", "of an earlier version"):
        np.testing.assert_array_equal(store.video("clip").feature("xa")[0], rows)
        forget_seals(folder)


@pytest.mark.parametrize(
    ("array", "change", "message"),
    [
        ("time", {"data_type": "int64", "fill_value": 0}, "holds int64"),
        ("time", {"shape": [10**12]}, "too many chunks"),
        ("feature/xa", {"shape": [39, 3]}, "39 rows, the video 40 frames"),
        ("flag/xa", {"shape": [10**7]}, "rows, the video 40 frames"),
        ("feature/xa", {"data_type": "complex64"}, "holds complex64"),
        ("feature/xa", {"chunk_grid": {"name": "regular"}}, "no regular chunks"),
        ("feature/xa", {"codecs": 7}, "feature/xa"),
        ("label/valence", {"data_type": "uint8", "fill_value": 0}, "holds uint8"),
    ],
)
def test_invalid_metadata_of_an_earlier_version_is_refused(view, array, change, message):
    forget_seals(view.path)
    path = view.path / array / "zarr.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(StoreError, match=message):
        read_all(view.path)


@pytest.mark.parametrize("times", [[0, np.nan, 1], [0, 2, 1], [0, 1, np.inf]])
def test_invalid_times_are_refused(tmp_path, times):
    store = empty(tmp_path / "s.zarr")
    with pytest.raises(StoreError, match="not finite or decrease"):
        store.add_video("clip", np.array(times, float), source={}, stream={})
    assert store.video_ids() == []


def test_a_part_that_is_replaced_while_it_is_read_is_refused(view):
    reading = Store.open(view.path.parent).video("clip")
    _, flags = reading.feature("xa")
    put_feature(Store.open(view.path.parent), "clip", "xa", 2 * ROWS, flags + 2)
    for read in (lambda: reading.read("flag/xa"), lambda: reading.read("feature/xa")):
        with pytest.raises(StoreError, match="replaced by another process"):
            read()
    np.testing.assert_array_equal(Store.open(view.path.parent).video("clip").feature("xa")[0], 2 * ROWS)


def test_a_feature_that_began_before_its_faces_were_replaced_is_refused(view):
    store = Store.open(view.path.parent)
    described = store.video("clip")
    described.read("face/detected")
    with store.stage("clip", "face", {"settings": 2}) as part:
        part.append("detected", np.zeros(FRAMES, bool))
    spec = described.part_attrs("feature/xa")
    with pytest.raises(StoreError, match="changed by another process"):
        store.put_feature("clip", spec, ROWS, np.zeros(FRAMES, np.uint8), made_from=described)
