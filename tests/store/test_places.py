"""Stores behind links, on file systems of their own, on containers' file systems, on full disks."""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import xarray
import zarr
from synth.crash_jobs import AUDIO, VISUAL, first_edition, write_faces, write_feature
from synth.mounts import mounted, overlay

from vacli.errors import OutputError, StoreError
from vacli.store import Store, locks
from vacli.store.work import FOLDER, STALE_AFTER_S


def assert_second_edition(path: Path) -> None:
    """That everything in a store can be replaced, and nothing is left beside."""
    store = Store.open(path)
    write_faces(store, 2, (VISUAL,))
    write_feature(store, AUDIO, 2)
    view = Store.open(path).video("clip")
    assert np.unique(view.read("face/box")) == [2]
    assert np.unique(view.feature(AUDIO)[0]) == [2]
    assert view.feature_names() == [AUDIO]
    assert sorted(os.listdir(path)) == ["clip", "zarr.json"]


def test_a_store_behind_a_link_to_another_disk(tmp_path):
    with mounted("tmpfs", tmp_path / "disk", "size=16m") as disk:
        (disk / "s.zarr").mkdir()
        (tmp_path / "s.zarr").symlink_to(disk / "s.zarr")
        first_edition(tmp_path)
        assert_second_edition(tmp_path / "s.zarr")
        assert (tmp_path / "s.zarr").is_symlink()


def test_a_link_to_an_absent_folder(tmp_path):
    (tmp_path / "s.zarr").symlink_to(tmp_path / "elsewhere" / "real.zarr")
    first_edition(tmp_path)
    assert (tmp_path / "elsewhere" / "real.zarr" / "clip").is_dir()
    assert_second_edition(tmp_path / "s.zarr")


def test_a_store_at_the_root_of_a_file_system(tmp_path):
    with mounted("tmpfs", tmp_path / "s.zarr", "size=16m") as path:
        (path / "lost+found").mkdir()
        first_edition(tmp_path)
        (path / "lost+found").rmdir()
        assert_second_edition(path)


def test_folders_in_a_lower_layer_of_overlayfs(tmp_path):
    """A container's file system does not rename folders that come with its image."""
    (tmp_path / "image").mkdir()
    first_edition(tmp_path / "image")
    with overlay(tmp_path, tmp_path / "image") as merged:
        assert_second_edition(merged / "s.zarr")
        Store.open(merged / "s.zarr").drop_video("clip")
        assert Store.open(merged / "s.zarr").video_ids() == []
    assert np.unique(Store.open(tmp_path / "image" / "s.zarr").video("clip").read("face/box")) == [1]


def test_an_empty_folder_becomes_a_store_and_a_full_one_does_not(tmp_path):
    (tmp_path / "s.zarr" / ".cache").mkdir(parents=True)
    assert Store.open_or_create(tmp_path / "s.zarr").video_ids() == []
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").write_text("")
    with pytest.raises(StoreError, match="not a feature store"):
        Store.open_or_create(tmp_path / "photos")


def test_a_read_only_store(tmp_path):
    first_edition(tmp_path)
    with mounted("tmpfs", tmp_path / "disk", "size=16m") as disk:
        first_edition(disk)
        (disk / "s.zarr" / FOLDER / "abc").mkdir(parents=True)
        os.system(f"mount -o remount,ro {disk}")
        store = Store.open(disk / "s.zarr")
        assert np.unique(store.video("clip").feature(AUDIO)[0]) == [1]
        assert not store.video("clip").has("label")
        with pytest.raises((OutputError, StoreError), match="cannot be written"):
            write_feature(store, AUDIO, 2)


def test_a_full_disk_keeps_the_old_parts(tmp_path):
    with mounted("tmpfs", tmp_path / "disk", "size=8m") as disk:
        first_edition(disk)
        store = Store.open(disk / "s.zarr")
        (disk / "fill").write_bytes(bytes(_free(disk) - 40_000))
        rows = np.ones((6, 30_000), np.float32)
        spec = {"name": AUDIO, "dim": 30_000}
        with pytest.raises(OutputError, match=r"feature/xa: no space left; needs about 0\.72 MB"):
            store.put_feature("clip", spec, rows, np.zeros(6, np.uint8))
        full = pytest.raises(OutputError, match=r"clip/face: no space left; needs about 0\.18 MB")
        with full, store.stage("clip", "face", {}) as part:
            part.append_images("crop", [os.urandom(30_000)] * 6)
        view = Store.open(disk / "s.zarr").video("clip")
        assert np.unique(view.feature(AUDIO)[0]) == [1]
        assert next(view.crop_bytes([0])) == bytes([1] * 7)
        assert sorted(os.listdir(disk / "s.zarr")) == ["clip", "zarr.json"]


def _free(disk: Path) -> int:
    about = os.statvfs(disk)
    return about.f_bavail * about.f_frsize


def test_a_work_folder_that_cannot_be_begun_is_removed(tmp_path, monkeypatch):
    first_edition(tmp_path)

    def full() -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, pytest.raises(OutputError, match=r"s\.zarr"):
        patch.setattr(locks, "kernel_id", full)
        write_feature(Store.open(tmp_path / "s.zarr"), AUDIO, 2)
    assert sorted(os.listdir(tmp_path / "s.zarr")) == ["clip", "zarr.json"]
    assert_second_edition(tmp_path / "s.zarr")


def test_a_write_that_outlives_the_failure_beside_it_leaves_nothing(tmp_path, monkeypatch):
    first_edition(tmp_path)
    write, ended = zarr.storage._local._put, threading.Event()

    def fail_or_wait(path: Path, *args, **options) -> int:
        if path.parent.name == "new" and (path.parent / "flag" / "c").exists():  # beside that of `feature`
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if path.parent.name == "feature":
            time.sleep(0.2)
            write(path, *args, **options)
            ended.set()
            return 0
        return write(path, *args, **options)

    with monkeypatch.context() as patch, pytest.raises(OutputError, match=r"no space left"):
        patch.setattr(zarr.storage._local, "_put", fail_or_wait)
        write_feature(Store.open(tmp_path / "s.zarr"), AUDIO, 2)
    assert ended.wait(5)
    assert sorted(os.listdir(tmp_path / "s.zarr")) == ["clip", "zarr.json"]
    assert_second_edition(tmp_path / "s.zarr")


def test_leftovers_are_hidden_and_removed_when_old(tmp_path):
    first_edition(tmp_path)
    store = Store.open(tmp_path / "s.zarr")
    foreign = store.path / FOLDER / "0123456789ab"
    (foreign / "new").mkdir(parents=True)
    (foreign / "owner").write_text("another kernel")
    (foreign / "new" / "zarr.json").write_text("{}")
    former = tmp_path / ".s.zarr.work"
    (former / "host-1--clip").mkdir(parents=True)
    (former / "host-1--clip" / "zarr.json").write_text("{}")
    assert Store.open(store.path).video_ids() == ["clip"]
    with pytest.warns(UserWarning, match="not recognized as a component"):
        tree = xarray.open_datatree(store.path, engine="zarr", consolidated=False)
    assert list(tree.children) == ["clip"]
    assert foreign.exists()
    for path in (*store.path.rglob("*"), foreign, *former.rglob("*"), former):
        old = path.stat().st_mtime - STALE_AFTER_S - 60
        os.utime(path, (old, old))
    Store.open(store.path)
    assert not (store.path / FOLDER).exists()
    assert not former.exists()
