"""The store keeps what it is given, and never keeps half of it."""

from __future__ import annotations

import errno
import io
import json
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import xarray
import zarr
from PIL import Image
from synth.store_writer import write_one_video

from vacli.errors import OutputError, StoreError
from vacli.spec import AUDIO, FeatureSpec
from vacli.store import Store

TIMES = np.array([0.0, 0.04, 0.09, 0.12])
SOURCE = {"name": "a b.mp4", "path": "a b.mp4", "size_bytes": 3, "sha256": "0f"}
SPEC = FeatureSpec(name="mfcc39", version="1", modality=AUDIO, dim=3, columns=("a", "b", "c")).attributes()


@pytest.fixture
def store(tmp_path):
    made = Store.open_or_create(tmp_path / "s.zarr")
    made.add_video("clip", TIMES, source=SOURCE, stream={"codec": "h264"})
    return made


def jpeg(value: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((224, 224, 3), value, np.uint8)).save(out, "jpeg")
    return out.getvalue()


def test_video_round_trip(store):
    view = Store.open(store.path).video("clip")
    np.testing.assert_array_equal(view.times_s, TIMES)
    assert view.source["sha256"] == "0f"
    assert view.attrs["stream"] == {"codec": "h264"}


def test_feature_round_trip_and_replacement(store):
    flags = np.array([0, 0, 1, 0], np.uint8)
    for value in (1.0, 2.0):
        values = np.full((4, 3), value, np.float32)
        values[2] = np.nan
        store.put_feature("clip", SPEC, values, flags)
        got, got_flags = store.video("clip").feature("mfcc39")
        np.testing.assert_array_equal(got, values)
        np.testing.assert_array_equal(got_flags, flags)
    assert store.video("clip").part_attrs("feature/mfcc39")["columns"] == ["a", "b", "c"]
    assert store.video("clip").feature_names() == ["mfcc39"]


def test_a_dropped_feature_is_removed_with_its_flags(store):
    store.put_feature("clip", SPEC, np.ones((4, 3), np.float32), np.zeros(4, np.uint8))
    store.drop_feature("clip", "mfcc39")
    assert store.video("clip").feature_names() == []
    assert not store.video("clip").has("flag/mfcc39")
    assert sorted(p.name for p in store.path.iterdir()) == ["clip", "zarr.json"]


def test_feature_of_the_wrong_length_is_refused(store):
    with pytest.raises(StoreError, match=r"\(4, 3\)"):
        store.put_feature("clip", SPEC, np.zeros((3, 3), np.float32), np.zeros(3, np.uint8))


def test_staged_rows_cross_chunk_borders(store, monkeypatch):
    monkeypatch.setattr("vacli.store.layout.CHUNK_BYTES", 64)
    boxes = np.arange(400, dtype=np.float32).reshape(100, 4)
    store.add_video("long", np.arange(100) / 25, source=SOURCE, stream={})
    with store.stage("long", "face", {"settings": 1}) as part:
        for start in range(0, 100, 7):
            part.append("box", boxes[start : start + 7], dims=("xyxy",), units="px")
    np.testing.assert_array_equal(store.video("long").read("face/box"), boxes)
    assert store.video("long").part_attrs("face") == {"settings": 1}


def test_crops_keep_their_frames(store, monkeypatch):
    monkeypatch.setattr("vacli.store.layout.FILE_BYTES", 1200)
    monkeypatch.setattr("vacli.store.layout.IMAGE_CHUNK_BYTES", 300)
    with store.stage("clip", "face", {}) as part:
        part.append_images("crop", [jpeg(10), None])
        part.append_images("crop", [jpeg(200), jpeg(90)])
    crops = list(store.video("clip").crops(range(4)))
    assert [None if c is None else round(float(c.mean())) for c in crops] == [10, None, 200, 90]
    assert store.video("clip").crop(2).shape == (224, 224, 3)


def test_an_interrupted_part_leaves_nothing(store):
    with pytest.raises(KeyboardInterrupt), store.stage("clip", "face", {}) as part:
        part.append("box", np.zeros((2, 4), np.float32), dims=("xyxy",))
        raise KeyboardInterrupt
    assert not store.video("clip").has("face")
    assert sorted(p.name for p in store.path.iterdir()) == ["clip", "zarr.json"]


def test_missing_parts_name_the_command(store):
    with pytest.raises(StoreError) as caught:
        store.video("clip").read("face/box")
    assert "va align" in caught.value.one_line()


def test_foreign_and_newer_stores_are_refused(store, tmp_path):
    with pytest.raises(StoreError, match="no store at"):
        Store.open(tmp_path / "absent.zarr")
    zarr.create_group(str(tmp_path / "other.zarr"))
    with pytest.raises(StoreError, match="not a feature store"):
        Store.open(tmp_path / "other.zarr")
    meta = json.loads((store.path / "zarr.json").read_text())
    meta["attributes"]["va_store"] = 99
    (store.path / "zarr.json").write_text(json.dumps(meta))
    with pytest.raises(StoreError, match="format 99"):
        Store.open(store.path)


def test_ids_are_safe_and_unique(store):
    assert store.id_for("a b.mp4", "0f") == "a_b"
    assert store.id_for("clip.mp4", "0f") == "clip"
    assert store.id_for("clip.avi", "other") == "clip-2"
    assert store.id_for(".hidden.mp4", "x") == "hidden"
    assert store.id_for("video59.mp4", "x", person="_right") == "video59_right"


def test_other_times_under_the_same_name_are_refused(store):
    store.add_video("clip", TIMES, source=SOURCE, stream={})
    with pytest.raises(StoreError, match="other times"):
        store.add_video("clip", TIMES[:3], source=SOURCE, stream={})


def test_two_processes_write_one_store(tmp_path):
    context = multiprocessing.get_context("spawn")
    names = [f"v{i}" for i in range(4)]
    workers = [
        context.Process(target=write_one_video, args=(str(tmp_path / "s.zarr"), name)) for name in names
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    store = Store.open(tmp_path / "s.zarr")
    assert store.video_ids() == names
    assert all(view.has("feature/mfcc39") for view in store.videos())


def test_threads_stage_at_once(store):
    names = [f"v{i}" for i in range(24)]

    def write(name: str) -> None:
        store.add_video(name, TIMES, source=SOURCE, stream={})
        store.put_feature(name, SPEC, np.ones((4, 3), np.float32), np.zeros(4, np.uint8))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, names))
    assert store.video_ids() == sorted([*names, "clip"])
    assert not (store.path / ".work").exists()


def test_threads_that_write_the_same_part(store):
    """Which of them comes last is open; what is there is whole, and nobody fails."""

    def write(value: int) -> None:
        store.put_feature("clip", SPEC, np.full((4, 3), value, np.float32), np.zeros(4, np.uint8))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(64)))
    values, _ = store.video("clip").feature("mfcc39")
    assert len(np.unique(values)) == 1
    assert not (store.path / ".work").exists()


def test_a_part_that_cannot_be_placed_keeps_the_old_one(store, monkeypatch):
    store.put_feature("clip", SPEC, np.ones((4, 3), np.float32), np.zeros(4, np.uint8))
    rename = Path.rename

    def full(self, target):
        if self.name == "feature" and Path(target).parent.name == "feature":
            raise OSError(errno.ENOSPC, "no space left")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OutputError, match="clip/feature/mfcc39: no space left"):
        store.put_feature("clip", SPEC, np.zeros((4, 3), np.float32), np.zeros(4, np.uint8))
    assert store.video("clip").feature("mfcc39")[0].all()


def test_xarray_reads_the_store(store):
    store.put_feature("clip", SPEC, np.ones((4, 3), np.float32), np.zeros(4, np.uint8))
    with store.stage("clip", "face", {}) as part:
        part.append("box", np.zeros((4, 4), np.float32), dims=("xyxy",), units="px")
        part.append_images("crop", [jpeg(1)] * 4)
    tree = xarray.open_datatree(store.path, engine="zarr", consolidated=False)
    assert tree["clip/feature"]["mfcc39"].dims == ("time", "mfcc39_dim")
    assert tree["clip"].coords["time"].attrs["units"] == "s"
    assert tree["clip/face"]["box"].attrs["units"] == "px"


def test_xarray_selects_rows_by_time(store):
    store.put_feature("clip", SPEC, np.arange(12, dtype=np.float32).reshape(4, 3), np.zeros(4, np.uint8))
    with store.stage("clip", "face", {}) as part:
        part.append("score", np.arange(4, dtype=np.float32))
    tree = xarray.open_datatree(store.path, engine="zarr", consolidated=False)
    assert tree["clip/face"].sel(time=0.09)["score"] == 2
    assert tree["clip/feature"].sel(time=0.1, method="nearest")["mfcc39"].values.tolist() == [6, 7, 8]
    assert tree["clip/face"].sel(time=slice(0.04, 0.1))["score"].values.tolist() == [1, 2]


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "s.zarr").mkdir()
    (tmp_path / "s.zarr" / ".work").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be written"):
        Store.open_or_create(tmp_path / "s.zarr")


def test_a_short_table_takes_no_more_disk_than_its_rows(tmp_path):
    store = Store.open_or_create(tmp_path / "s.zarr")
    store.add_video("a", np.arange(10.0), source={"name": "a"}, stream={})
    with store.stage("a", "face", {}) as writer:
        for _ in range(2):
            writer.append("box", np.ones((5, 4), np.float32), dims=("xyxy",))
    sizes = [path.stat().st_size for path in (store.path / "a" / "face" / "box").rglob("*") if path.is_file()]
    assert sum(sizes) < 5000
    np.testing.assert_array_equal(store.video("a").read("face/box"), np.ones((10, 4), np.float32))
