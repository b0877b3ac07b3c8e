"""Several writers of one store, and who has which name."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from synth.crash_jobs import AUDIO, first_edition, write_feature
from synth.store_writer import add_same_name, replace_often, wait_in_stage

from vacli.errors import StoreError
from vacli.store import Store, locks
from vacli.store.schema import ID_BYTES, safe_id
from vacli.store.work import FOLDER

TIMES = np.arange(4) / 25
SPAWN = multiprocessing.get_context("spawn")


def all_at_once(target, jobs: list[tuple]) -> None:
    workers = [SPAWN.Process(target=target, args=job) for job in jobs]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * len(jobs)


def source(sha256: str, name: str = "clip.mp4") -> dict[str, object]:
    return {"name": name, "path": f"/x/{name}", "sha256": sha256}


@pytest.fixture
def store(tmp_path) -> Store:
    return Store.open_or_create(tmp_path / "s.zarr")


def test_one_name_of_two_recordings_at_once(tmp_path):
    path = str(tmp_path / "s.zarr")
    all_at_once(add_same_name, [(path, sha) for sha in ("a", "b", "a", "b")])
    store = Store.open(path)
    assert store.video_ids() == ["clip", "clip-2"]
    assert {view.source["sha256"] for view in store.videos()} == {"a", "b"}
    for view in store.videos():
        assert np.unique(view.feature("mfcc39")[0]) == [ord(view.source["sha256"])]


def test_one_feature_is_replaced_by_two_while_it_is_read(tmp_path):
    first_edition(tmp_path)
    workers = [
        SPAWN.Process(target=replace_often, args=(str(tmp_path / "s.zarr"), value)) for value in (1, 2)
    ]
    for worker in workers:
        worker.start()
    seen, refused = set(), set()
    while any(worker.is_alive() for worker in workers) or not seen:
        view = Store.open(tmp_path / "s.zarr").video("clip")
        try:
            rows, flags = view.feature(AUDIO)
        except StoreError as error:
            refused.add(str(error).partition(" was ")[2])
            continue
        assert {*np.unique(rows)} == {*(np.unique(flags) / 2)}
        seen |= {*np.unique(rows)}
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert seen <= {1, 2}
    assert refused <= {"replaced by another process while it was read"}
    # Two that end at one moment may both leave the folder to the other; work of theirs is not in it.
    assert not [path for path in (tmp_path / "s.zarr" / FOLDER).glob("*") if path.is_dir()]


def test_a_feature_that_is_replaced_between_two_chunks_is_refused(tmp_path, monkeypatch):
    first_edition(tmp_path)
    view = Store.open(tmp_path / "s.zarr").video("clip")
    read_bytes = Path.read_bytes

    def replace_first(path: Path) -> bytes:
        monkeypatch.undo()
        write_feature(Store.open(tmp_path / "s.zarr"), AUDIO, 2)
        path.unlink()  # the new edition may have fewer chunks
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", replace_first)
    with pytest.raises(StoreError, match="was replaced by another process while it was read"):
        view.feature(AUDIO)


def test_a_chunk_that_cannot_be_read_is_damage(tmp_path):
    first_edition(tmp_path)
    view = Store.open(tmp_path / "s.zarr").video("clip")
    (chunk,) = (view.path / "feature" / AUDIO / "c").rglob("0/0")
    chunk.unlink()
    chunk.mkdir()
    with pytest.raises(StoreError, match="cannot be read: Is a directory"):
        view.feature(AUDIO)


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_work_of_running_processes_stays_and_that_of_dead_ones_is_removed(tmp_path):
    first_edition(tmp_path)
    started = SPAWN.Event()
    worker = SPAWN.Process(target=wait_in_stage, args=(str(tmp_path / "s.zarr"), started))
    worker.start()
    assert started.wait(120)
    (place,) = (tmp_path / "s.zarr" / FOLDER).iterdir()
    store = Store.open(tmp_path / "s.zarr")
    assert (place / "new").is_dir()
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    Store.open(store.path)
    assert not place.exists()
    assert np.unique(store.video("clip").feature(AUDIO)[0]) == [1]


def test_a_lock_is_given_to_one_at_a_time(store):
    order: list[str] = []

    def second() -> None:
        with locks.locked(store.path / "zarr.json"):
            order.append("second")

    with locks.locked(store.path / "zarr.json"):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_without_locks_old_work_is_removed_by_age(store, monkeypatch):
    def unsupported(file, wait, shared):
        raise OSError(95, "not supported")

    monkeypatch.setattr(locks, "_lock", unsupported)
    store.add_video("clip", TIMES, source=source("a"), stream={})
    place = store.path / FOLDER / "abc"
    place.mkdir(parents=True)
    (place / "owner").write_text("")
    Store.open(store.path)
    assert place.exists()
    assert Store.open(store.path).video_ids() == ["clip"]


def test_a_recording_by_another_name_is_the_same_video(store):
    first = store.add_recording("clip.mp4", TIMES, source=source("a"), stream={})
    copy = store.add_recording("copy.mp4", TIMES, source=source("a", "copy.mp4"), stream={})
    assert (first.id, copy.id, store.video_ids()) == ("clip", "clip", ["clip"])
    assert Store.open(store.path).id_for("third.mp4", "a") == "clip"
    left = store.add_recording("copy.mp4", TIMES, source=source("a"), stream={}, person="_left")
    assert left.id == "copy_left"
    assert store.find_by_sha256("a") == ["clip", "copy_left"]
    assert store.id_for("clip.mp4", "a", "_left") == "copy_left"
    assert store.id_for("clip.mp4", "b") == "clip-2"
    assert store.id_for("copy.mp4", "a", reuse=False) == "copy"


def test_subjects_of_stores_without_subjects(store):
    for video in ("clip", "clip_left", "clip-2"):
        store.add_video(video, TIMES, source=source("a"), stream={})
    assert store.id_for("copy.mp4", "a", "_left") == "clip_left"
    assert store.id_for("copy.mp4", "a") == "clip"
    assert store.id_for("copy.mp4", "a", "_right") == "copy_right"


def test_a_recording_of_the_same_length_is_another_video(store):
    store.add_video("clip", TIMES, source=source("a"), stream={})
    with pytest.raises(StoreError, match="belongs to another recording"):
        store.add_video("clip", TIMES, source=source("b"), stream={})


@pytest.mark.parametrize("stem", ["x" * 245, "顔" * 80, "é" * 120, "a" * ID_BYTES])
def test_long_names_are_shortened_and_remain_unique(store, stem):
    made = [safe_id(stem), safe_id(stem + "1"), safe_id(stem + "_left")]
    assert len(set(made)) == 3
    assert made == [safe_id(stem), safe_id(stem + "1"), safe_id(stem + "_left")]
    assert all(len(name.encode()) <= ID_BYTES and name.startswith(stem[:20]) for name in made)
    view = store.add_recording(f"{stem}.mp4", TIMES, source=source("a"), stream={})
    other = store.add_recording(f"{stem}.mp4", TIMES, source=source("b"), stream={}, person="")
    assert (view.id, other.id) == (made[0], f"{made[0]}-2")
    write = np.ones((4, 3), np.float32)
    store.put_feature(view.id, {"name": AUDIO, "dim": 3}, write, np.zeros(4, np.uint8))


def test_equal_safe_names_are_numbered_by_recording(store):
    for sha, name in (("a", "clip 1.mp4"), ("b", "clip_1.mp4"), ("c", "e\u0301te\u0301.mp4")):
        store.add_recording(name, TIMES, source=source(sha, name), stream={})
    store.add_recording("clip 1.mp4", TIMES, source=source("a", "clip 1.mp4"), stream={}, person="_left")
    assert [store.find_by_name(name) for name in ("clip 1", "clip_1")] == [["clip_1"], ["clip_1-2"]]
    assert store.find_by_name("clip 1.mp4") == ["clip_1"]
    assert store.find_by_name("clip 1_left") == ["clip_1_left"]
    assert store.find_by_name("\u00e9t\u00e9") == store.find_by_name("e\u0301te\u0301") == ["\u00e9t\u00e9"]
    assert store.find_by_name("clip?1") == store.find_by_name("other") == []


def test_recordings_of_one_name_are_all_found(store):
    for sha, name in (("a", "clip.mp4"), ("b", "clip.mp4"), ("c", "clip.avi")):
        store.add_recording(name, TIMES, source=source(sha, name), stream={})
    assert store.find_by_name("clip") == ["clip", "clip-2", "clip-3"]
    assert store.find_by_name("clip.avi") == ["clip-3"]
    assert store.find_by_name("clip-2") == []


def test_folders_of_crops_have_dots_in_their_names(store):
    name = "1.2-60-1920x1080"
    store.add_recording(f"{name}.crops", TIMES, source=source("a", name), stream={"kind": "crops"})
    assert store.find_by_name(name) == [name]
    assert store.find_by_name("1") == []


def test_names_that_differ_only_in_marks_have_different_ids():
    assert safe_id("किरण") == "किरण" != safe_id("कारण")
    assert safe_id("e\u0301te") == safe_id("\u00e9te")
    assert safe_id("a b/c:d") == "a_b_c_d"


def test_a_feature_of_the_same_edition_twice(tmp_path):
    first_edition(tmp_path)
    store = Store.open(tmp_path / "s.zarr")
    write_feature(store, AUDIO, 2)
    write_feature(store, AUDIO, 2)
    assert np.unique(store.video("clip").feature(AUDIO)[1]) == [4]
