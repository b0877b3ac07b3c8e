"""Stores have no absolute paths, and steps get absolute ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from synth.stores import spec

from vacli.files.object_path import ObjectPath
from vacli.spec import WEIGHTS_FILES
from vacli.store import Store
from vacli.store.relative_paths import absolute_attributes, relative_attributes

TIMES = np.arange(3.0)


def add(store: Store, path: Path) -> None:
    source = {"name": path.name, "path": str(path), "size_bytes": 0, "sha256": path.name}
    store.add_recording(path.name, TIMES, source=source, stream={})


def stored_text(store: Store) -> str:
    return "".join(file.read_text() for file in store.path.rglob("zarr.json"))


def test_a_path_is_stored_relative_to_the_store(tmp_path):
    store = Store.open_or_create(tmp_path / "out" / "s.zarr")
    add(store, tmp_path / "videos" / "clip.mp4")
    assert str(tmp_path) not in stored_text(store)
    assert '"../../videos/clip.mp4"' in stored_text(store)
    view = Store.open(store.path).video("clip")
    assert view.source["path"] == view.attrs["source"]["path"] == str(tmp_path / "videos" / "clip.mp4")


def test_a_store_moves_with_its_recordings(tmp_path):
    store = Store.open_or_create(tmp_path / "old" / "s.zarr")
    add(store, tmp_path / "old" / "videos" / "clip.mp4")
    shutil.move(tmp_path / "old", tmp_path / "new")
    view = Store.open(tmp_path / "new" / "s.zarr").video("clip")
    assert view.source["path"] == str(tmp_path / "new" / "videos" / "clip.mp4")


def test_a_store_behind_a_link_has_the_same_paths(tmp_path):
    real = tmp_path / "disk" / "real.zarr"
    real.parent.mkdir()
    (tmp_path / "s.zarr").symlink_to(real)
    store = Store.open_or_create(tmp_path / "s.zarr")
    add(store, tmp_path / "clip.mp4")
    for path in (tmp_path / "s.zarr", real):
        assert Store.open(path).video("clip").source["path"] == str(tmp_path / "clip.mp4")


def test_paths_of_weights_are_relative_too(tmp_path):
    store = Store.open_or_create(tmp_path / "s.zarr")
    add(store, tmp_path / "clip.mp4")
    weights = str(tmp_path / "net.pth")
    attributes = {**spec("xv", 2).attributes(), WEIGHTS_FILES: {"weights_sha256": weights}}
    store.put_feature("clip", attributes, np.zeros((3, 2), np.float32), np.zeros(3, np.uint8))
    assert str(tmp_path) not in stored_text(store)
    assert store.video("clip").part_attrs("feature/xv")[WEIGHTS_FILES] == {"weights_sha256": weights}


@pytest.mark.parametrize("path", ["/data/videos/clip.mp4", "C:\\videos\\clip.mp4"])
def test_absolute_paths_of_earlier_stores_are_kept(tmp_path, path):
    assert absolute_attributes({"source": {"path": path}}, tmp_path) == {"source": {"path": path}}


def test_a_path_on_another_drive_becomes_a_name(tmp_path, monkeypatch):
    def other_drive(path: str, start: str) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr("os.path.relpath", other_drive)
    attributes = {"source": {"path": "D:\\videos\\clip.mp4", "sha256": "0f"}}
    assert relative_attributes(attributes, tmp_path) == {"source": {"path": "clip.mp4", "sha256": "0f"}}


def test_attributes_without_paths_are_unchanged(tmp_path):
    for attributes in ({}, {"source": {}}, {"source": {"name": "x"}}, {"source": "x", WEIGHTS_FILES: None}):
        assert relative_attributes(attributes, tmp_path) == attributes
        assert absolute_attributes(attributes, tmp_path) == attributes


def test_the_name_of_a_repository_is_no_path(tmp_path):
    attributes = {WEIGHTS_FILES: {"weights": "hub:owner/net"}}
    assert relative_attributes(attributes, tmp_path) == attributes
    assert absolute_attributes(attributes, tmp_path) == attributes


def test_paths_in_a_store_that_was_uploaded_with_its_recordings():
    store = ObjectPath("s3://bucket/study/s.zarr")
    for stored, path in {
        "../videos/clip.mp4": "s3://bucket/study/videos/clip.mp4",
        "../../clip.mp4": "s3://bucket/clip.mp4",
        "../../../clip.mp4": "../../../clip.mp4",  # above the bucket
        "clip.mp4": "clip.mp4",  # the name of a file that was local
        "s3://other/clip.mp4": "s3://other/clip.mp4",
    }.items():
        assert absolute_attributes({"source": {"path": stored}}, store)["source"]["path"] == path
