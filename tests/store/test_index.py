"""The index file of a large store saves the reading of its videos and is never trusted against them."""

from __future__ import annotations

import builtins
import io
import json
import os
import shutil
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from synth.stores import add_video, empty
from synth.videos import generate_videos

from vacli.errors import StoreError
from vacli.store import Store
from vacli.store.index_file import NAME

VIDEOS = 2000


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    """A generated store with its index file."""
    store = empty(tmp_path_factory.mktemp("index") / "s.zarr")
    generate_videos(store.path, VIDEOS)
    assert store.find_by_sha256("sha-7") == ["v000007"]
    return store.path


@pytest.fixture
def small(tmp_path, monkeypatch) -> Store:
    """A store of five videos that has an index file."""
    monkeypatch.setattr("vacli.store.index.MIN_VIDEOS", 3)
    store = empty(tmp_path / "s.zarr")
    for number in range(5):
        add_video(store, f"v{number}", 4)
    assert store.find_by_sha256("v1") == ["v1"]
    assert (store.path / NAME).is_file()
    return Store.open(store.path)


@pytest.fixture
def calls(monkeypatch) -> Counter:
    """Counts the files that are opened and the folders that are listed or examined."""
    counts: Counter = Counter()

    def count(module: object, name: str) -> None:
        original = getattr(module, name)

        def counted(*args, **kwargs):
            counts[name] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(module, name, counted)

    for module, name in ((builtins, "open"), (io, "open"), (os, "stat"), (os, "listdir"), (os, "scandir")):
        count(module, name)
    return counts


def source(sha256: str, name: str) -> dict[str, object]:
    return {"name": name, "path": name, "size_bytes": 0, "sha256": sha256}


def test_a_large_store_is_opened_without_a_visit_to_each_video(template, calls):
    assert len(Store.open(template).video_ids()) == VIDEOS
    assert calls.total() < 30


def test_a_search_reads_no_video(template, calls):
    assert Store.open(template).find_by_name("clip 1999") == ["v001999"]
    assert calls["open"] < 10
    assert calls["listdir"] + calls["scandir"] < 5
    assert calls["stat"] < VIDEOS + 30


def test_a_small_store_has_no_index_file(tmp_path):
    store = empty(tmp_path / "s.zarr")
    add_video(store, "clip", 4)
    assert store.find_by_sha256("clip") == ["clip"]
    assert sorted(os.listdir(store.path)) == ["clip", "zarr.json"]


def test_videos_of_other_processes_are_found(small):
    assert small.find_by_sha256("v2") == ["v2"]
    add_video(Store.open(small.path), "w", 4)
    assert small.find_by_sha256("w") == ["w"]
    assert small.video_ids() == ["v0", "v1", "v2", "v3", "v4", "w"]


def test_videos_of_an_earlier_version_are_found(small):
    """It knows no index file and adds a folder only."""
    lines = (small.path / NAME).read_bytes()
    add_video(Store.open(small.path), "w", 4)
    (small.path / NAME).write_bytes(lines)
    assert Store.open(small.path).video_ids() == ["v0", "v1", "v2", "v3", "v4", "w"]
    assert Store.open(small.path).find_by_sha256("w") == ["w"]
    assert len((small.path / NAME).read_bytes()) > len(lines)


def test_a_removed_video_is_not_found(small):
    shutil.rmtree(small.path / "v2")
    store = Store.open(small.path)
    assert store.video_ids() == ["v0", "v1", "v3", "v4"]
    assert store.find_by_sha256("v2") == store.find_by_name("v2") == []


def test_a_video_that_was_replaced_is_read_again(small):
    lines = (small.path / NAME).read_bytes()
    store = Store.open(small.path)
    store.drop_video("v2")
    store.add_video("v2", np.arange(4) / 25, source=source("other", "x.mp4"), stream={})
    (small.path / NAME).write_bytes(lines)
    assert Store.open(small.path).find_by_sha256("v2") == []
    assert Store.open(small.path).find_by_sha256("other") == ["v2"]


def test_a_video_whose_folder_was_reused_is_read_again(small):
    """A new folder may have the inode of a removed one: only the metadata file shows the change."""
    meta = small.path / "v2" / "zarr.json"
    changed = json.loads(meta.read_text())
    changed["attributes"] = {"source": source("other", "x.mp4")}
    meta.write_text(json.dumps(changed))
    assert Store.open(small.path).find_by_sha256("v2") == []
    assert Store.open(small.path).find_by_name("x") == []
    assert Store.open(small.path).find_by_sha256("other") == ["v2"]


@pytest.mark.parametrize("harm", ["removed", "cut", "changed", "garbage", "another version"])
def test_a_damaged_index_file_costs_time_only(small, harm):
    path = small.path / NAME
    data = path.read_bytes()
    if harm == "removed":
        path.unlink()
    else:
        unknown = b"%08x %s\n" % (zlib.crc32(b'["v2", 7]'), b'["v2", 7]')
        harmed = {"cut": data[:-20], "changed": data.replace(b'"v2"', b'"v9"'), "another version": unknown}
        path.write_bytes(harmed.get(harm, b"\0\xff{}\n" * 9))
    for _ in range(2):
        store = Store.open(small.path)
        assert [store.find_by_sha256(f"v{number}") for number in range(5)] == [[f"v{n}"] for n in range(5)]
        assert store.find_by_sha256("v9") == []
    fresh = {line.split(b'"')[1] for line in path.read_bytes().splitlines() if line.count(b'"') > 1}
    assert {b"v0", b"v1", b"v2", b"v3", b"v4"} <= fresh


def test_outdated_lines_are_removed(small, monkeypatch):
    monkeypatch.setattr("vacli.store.index_file.SPARE_LINES", 3)
    for _ in range(30):
        store = Store.open(small.path)
        store.drop_video("v2")
        add_video(store, "v2", 4)
        assert store.find_by_sha256("v2") == ["v2"]
    lines = [line for line in (small.path / NAME).read_bytes().splitlines() if line]
    assert len(lines) <= 2 * 5 + 3 + 1


def test_an_index_file_that_cannot_be_written_is_no_error(small):
    (small.path / NAME).unlink()
    (small.path / NAME).mkdir()
    add_video(small, "w", 4)
    assert small.find_by_sha256("w") == ["w"]
    assert len(Store.open(small.path).video_ids()) == 6


def test_a_damaged_video_of_the_same_name_is_refused_without_waiting(small):
    """The lock of the store is held while names are compared; reading damage waits for this lock, too."""
    (small.path / "v2" / "zarr.json").write_text("{")
    store = Store.open(small.path)
    times = np.arange(4) / 25
    with pytest.raises(StoreError, match="v2"):
        store.add_recording("v2.mp4", times, source=source("other", "v2.mp4"), stream={})
    store.add_recording("new.mp4", times, source=source("new", "new.mp4"), stream={})
    assert "new" in store
