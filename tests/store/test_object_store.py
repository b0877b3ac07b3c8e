"""Stores in object stores: parts after a death at any request, several writers, the index."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from synth.crash_jobs import AUDIO, FRAMES, VISUAL, first_edition, new_faces, new_feature, write_feature
from synth.object_stores import Killed, S3Server, counted_requests, death_at, keys, memory_folder
from synth.store_writer import replace_often
from synth.stores import add_video, spec

from vacli.errors import InputError, OutputError, StoreError
from vacli.files.object_path import ObjectPath, to_path
from vacli.files.store_folder import METADATA_FILE
from vacli.store import Store, VideoView, lease, object_array, object_index
from vacli.store.repack import arrays_of

pytest.importorskip("obstore")
SPAWN = multiprocessing.get_context("spawn")


def content(view: VideoView) -> dict[str, bytes]:
    """Every array of a video, in bytes."""
    return {name: view.read(name).tobytes() for name in arrays_of(view)}


def contents(path: ObjectPath) -> dict[str, dict[str, bytes]]:
    """Every array of every video of a store; of none if there is no store."""
    if not (path / METADATA_FILE).is_file():
        return {}
    return {view.id: content(view) for view in Store.open(path).videos()}


def copied(folder: ObjectPath) -> ObjectPath:
    """A folder in memory with the same objects."""
    copy = memory_folder()
    for key in keys(folder):
        copy.bucket.write((copy / key).key, (folder / key).read_bytes())
    return copy


def add_second(folder: ObjectPath) -> None:
    add_video(Store.open(folder / "s.zarr"), "second", FRAMES)


def drop(folder: ObjectPath) -> None:
    Store.open(folder / "s.zarr").drop_video("clip")


def drop_feature(folder: ObjectPath) -> None:
    Store.open(folder / "s.zarr").drop_feature("clip", VISUAL)


def another_feature(folder: ObjectPath) -> None:
    write_feature(Store.open(folder / "s.zarr"), "other", 3)


def test_a_store_has_the_same_content_in_a_folder_in_memory_and_in_s3(tmp_path, s3: S3Server):
    local = tmp_path / "local"
    folders = [memory_folder(), s3.folder()]
    for job in (first_edition, new_faces, new_feature, add_second):
        for folder in (local, *folders):
            job(folder)
    expected = {view.id: content(view) for view in Store.open(local / "s.zarr").videos()}
    assert [contents(folder / "s.zarr") for folder in folders] == [expected] * 2


def test_arrays_in_an_object_store_have_the_layout_of_zarr():
    import zarr
    from zarr.storage import MemoryStore

    folder = memory_folder()
    first_edition(folder)
    buffer = zarr.core.buffer.default_buffer_prototype().buffer
    files = {
        key: buffer.from_bytes((folder / "s.zarr" / key).read_bytes()) for key in keys(folder / "s.zarr")
    }
    group = zarr.open_group(MemoryStore(files), mode="r")
    assert (group["clip/face/box"][:] == 1).all()


def before_and_after(job: Callable[[ObjectPath], None]) -> tuple[ObjectPath, dict, dict, int]:
    """A folder, its content, that after a job, and the number of changing requests of the job."""
    start = memory_folder()
    first_edition(start)
    reference = copied(start)
    old = contents(reference / "s.zarr")
    with death_at(10_000) as changed:
        job(reference)
    return start, old, contents(reference / "s.zarr"), len(changed)


@pytest.mark.parametrize("job", [new_faces, new_feature, another_feature, add_second, drop, drop_feature])
def test_a_death_at_any_request_leaves_the_old_content_or_the_new(
    job: Callable[[ObjectPath], None], monkeypatch: pytest.MonkeyPatch
):
    start, old, new, requests = before_and_after(job)
    assert old != new
    seen = set()
    for number in range(requests):
        folder = copied(start)
        with death_at(number), pytest.raises(Killed):
            job(folder)
        with monkeypatch.context() as patch:
            patch.setattr(lease, "_process", lambda pid: "")  # the process of the lease is alive
            found = contents(folder / "s.zarr")
        assert found in (old, new)
        seen.add(found == new)
        assert not [key for key in keys(folder / "s.zarr") if key.startswith(".work")]
        job(folder)
        assert contents(folder / "s.zarr") == new
    assert seen == {False, True}


@pytest.mark.parametrize("job", [new_faces, new_feature, another_feature, add_second, drop, drop_feature])
def test_an_interruption_at_any_request_leaves_the_old_content_or_the_new(job: Callable[[ObjectPath], None]):
    start, old, new, requests = before_and_after(job)
    for number in range(requests):
        folder = copied(start)
        with death_at(number, once=True), pytest.raises(Killed):
            job(folder)
        assert not [key for key in keys(folder / "s.zarr") if key.startswith(".work")]
        assert contents(folder / "s.zarr") in (old, new)
        job(folder)
        assert contents(folder / "s.zarr") == new


def test_an_interruption_whose_repair_fails_is_repaired_by_the_next_process():
    folder = memory_folder()
    first_edition(folder)
    old, reference = contents(folder / "s.zarr"), copied(folder)
    with death_at(10_000) as changed:
        new_faces(reference)
    with death_at(len(changed) - 6), pytest.raises(Killed):
        new_faces(folder)
    path = folder / "s.zarr"
    (lease_key,) = [key for key in keys(path) if key.endswith(".lease")]
    path.bucket.write((path / lease_key).key, lease.ENDED)
    assert contents(path) != old
    assert not [key for key in keys(path) if key.startswith(".work")]


def test_readers_ignore_a_video_and_a_part_without_metadata():
    folder = memory_folder()
    first_edition(folder)
    path = folder / "s.zarr"
    path.bucket.delete([(path / "clip/face" / METADATA_FILE).key])
    view = Store.open(path).video("clip")
    assert not view.has("face")
    assert not view.has("face/box")
    assert view.has(f"feature/{AUDIO}")
    path.bucket.delete([(path / "clip" / METADATA_FILE).key])
    store = Store.open(path)
    assert store.video_ids() == []
    assert "clip" not in store
    with pytest.raises(StoreError, match="no video 'clip'"):
        store.video("clip")


def test_incomplete_videos_of_dead_writers_are_removed_when_the_store_is_opened(monkeypatch):
    folder = memory_folder()
    first_edition(folder)
    with death_at(4), pytest.raises(Killed):
        add_second(folder)
    path = folder / "s.zarr"
    assert any(key.startswith("second/") for key in keys(path))
    Store.open(path)
    assert any(key.startswith("second/") for key in keys(path))  # its writer is alive
    monkeypatch.setattr(lease, "_process", lambda pid: "")
    Store.open(path)
    assert not any("second" in key for key in keys(path))


def test_two_threads_write_different_editions_of_a_feature():
    folder = memory_folder()
    first_edition(folder)
    errors: list[BaseException] = []

    def write(value: int) -> None:
        try:
            for _ in range(10):
                write_feature(Store.open(folder / "s.zarr"), AUDIO, value)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(value,)) for value in (2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    values, flags = Store.open(folder / "s.zarr").video("clip").feature(AUDIO)
    assert np.unique(flags).tolist() == (2 * np.unique(values)).tolist()


def test_two_processes_write_one_video_and_one_is_killed(s3: S3Server):
    folder = s3.folder()
    first_edition(folder)
    url = str(folder / "s.zarr")
    workers = [SPAWN.Process(target=replace_often, args=(url, value, 1000)) for value in (2, 3)]
    for worker in workers:
        worker.start()
    feature = folder / "s.zarr" / "clip" / "feature" / AUDIO / METADATA_FILE
    before = feature.facts()
    deadline = time.monotonic() + 60
    while feature.facts() == before and time.monotonic() < deadline:
        time.sleep(0.05)
    for worker in workers:
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()
    values, flags = Store.open(url).video("clip").feature(AUDIO)
    assert values.min() == values.max() in (2, 3)
    assert np.unique(flags).tolist() == (2 * np.unique(values)).tolist()
    replace_often(url, 4, times=1)  # without waiting for the leases of the dead
    assert np.unique(Store.open(url).video("clip").feature(AUDIO)[0]) == [4]


def test_two_recordings_of_one_name_added_at_once_are_two_videos():
    path = memory_folder() / "s.zarr"
    Store.open_or_create(path)
    ids: list[str] = []

    def add(number: int) -> None:
        source = {"name": "clip.mp4", "path": "clip.mp4", "sha256": str(number)}
        times_s = np.arange(FRAMES) + number
        ids.append(Store.open(path).add_recording("clip.mp4", times_s, source=source, stream={}).id)

    threads = [threading.Thread(target=add, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ids) == ["clip", "clip-2", "clip-3", "clip-4"] == Store.open(path).video_ids()
    starts = {view.times_s[0] for view in Store.open(path).videos()}
    assert starts == {0, 1, 2, 3}


def test_failing_requests_are_repeated(s3: S3Server):
    s3.failing = 0.05
    folder = s3.folder()
    first_edition(folder)
    new_faces(folder)
    found = contents(folder / "s.zarr")
    s3.failing = 0.0
    reference = memory_folder()
    first_edition(reference)
    new_faces(reference)
    assert found == contents(reference / "s.zarr")


def test_a_bucket_that_may_only_be_read_can_be_read(s3: S3Server):
    folder = s3.folder()
    first_edition(folder)
    s3.denied_methods = ("PUT", "POST", "DELETE")
    store = Store.open(folder / "s.zarr")
    assert store.video_ids() == ["clip"]
    with pytest.raises(
        OutputError, match=r"cannot be written: access denied \(AccessDenied: Access Denied\)"
    ):
        write_feature(store, AUDIO, 2)
    with pytest.raises(OutputError, match="access denied"):
        Store.open_or_create(folder / "new.zarr")


def test_a_bucket_that_does_not_exist_is_reported(s3: S3Server):
    for open_store in (Store.open, Store.open_or_create):
        with pytest.raises((InputError, OutputError), match=r"NoSuchBucket|no such bucket") as caught:
            open_store("s3://there-is-no-such-bucket/s.zarr")
        assert "the-key-id" not in caught.value.one_line()
        assert "the-secret" not in caught.value.one_line()


def test_the_index_of_many_videos_is_read_by_few_requests(monkeypatch):
    path = memory_folder() / "s.zarr"
    store = Store.open_or_create(path)
    monkeypatch.setattr(object_index, "MAX_NEW", 8)
    for number in range(30):
        add_video(store, f"v{number:02}", 2)
    with counted_requests() as made:
        ids = Store.open(path).video_ids()
    assert ids == [f"v{number:02}" for number in range(30)]
    assert len([key for key in keys(path) if key.startswith(".index/new")]) <= 9
    assert len(made) <= 5 + 9  # root, work, index, list of recent videos, and each of these


def test_the_first_index_has_the_videos_that_another_program_copied(monkeypatch):
    path = memory_folder() / "s.zarr"
    store = Store.open_or_create(path)
    for name in ("a1", "a2"):
        add_video(store, name, 2)
    path.bucket.delete([f"{path.key}/{key}" for key in keys(path) if key.startswith(".index/")])
    monkeypatch.setattr(object_index, "MAX_NEW", 2)
    store = Store.open(path)  # a writer that does not list the videos
    for name in ("b1", "b2", "b3", "b4"):
        add_video(store, name, 2)
    assert any(key == ".index/videos.jsonl" for key in keys(path))
    assert Store.open(path).video_ids() == ["a1", "a2", "b1", "b2", "b3", "b4"]


def test_ten_thousand_videos_are_listed_by_one_read_of_the_index():
    path = memory_folder() / "s.zarr"
    Store.open_or_create(path)
    videos = {f"v{n:05}": object_index.Content(0, 1, 0, f"{n:064}", "", f"v{n:05}") for n in range(10_000)}
    path.bucket.write((path / ".index" / "videos.jsonl").key, object_index.encode(videos))
    with counted_requests() as made:
        store = Store.open(path)
        ids = store.video_ids()
        found = store.find_by_sha256(f"{77:064}")
    assert ids == sorted(videos)
    assert found == ["v00077"]
    assert made.count("read_with_tag") == 1
    assert len(made) <= 8


def test_recordings_are_found_before_and_after_they_are_in_the_index(monkeypatch):
    path = memory_folder() / "s.zarr"
    store = Store.open_or_create(path)
    monkeypatch.setattr(object_index, "MAX_NEW", 3)
    for number in range(9):
        source = {"name": f"v{number}.mp4", "path": f"v{number}.mp4", "sha256": str(number)}
        store.add_recording(f"v{number}.mp4", np.arange(3.0), source=source, stream={})
        for one in (store, Store.open(path)):
            assert one.find_by_sha256(str(number)) == [f"v{number}"]
            assert one.find_by_name("v0") == ["v0"]
    store.drop_video("v0")
    store.drop_video("v8")
    for one in (store, Store.open(path)):
        assert one.video_ids() == [f"v{number}" for number in range(1, 8)]
        assert one.find_by_name("v0") == []


def test_paths_of_local_recordings_are_not_stored():
    path = memory_folder() / "s.zarr"
    store = Store.open_or_create(path)
    for name, given in (("a.mp4", "/home/me/a.mp4"), ("b.mp4", "s3://bucket/b.mp4")):
        source = {"name": name, "path": given, "sha256": name}
        store.add_recording(name, np.arange(3.0), source=source, stream={})
    assert [view.source["path"] for view in store.videos()] == ["a.mp4", "s3://bucket/b.mp4"]
    assert not any(b"/home/me" in (path / key).read_bytes() for key in keys(path))


def test_damage_is_reported():
    folder = memory_folder()
    first_edition(folder)
    chunk = next(key for key in keys(folder / "s.zarr") if key.startswith("clip/face/box/c/"))
    path = folder / "s.zarr" / chunk
    path.bucket.write(path.key, b"xx")
    with pytest.raises(StoreError, match="has been changed or cut short"):
        Store.open(folder / "s.zarr").video("clip").read("face/box")
    path.bucket.delete([path.key])
    with pytest.raises(StoreError, match="is missing"):
        Store.open(folder / "s.zarr").video("clip").read("face/box")


def test_a_part_that_is_replaced_while_it_is_read_is_refused(monkeypatch):
    folder = memory_folder()
    first_edition(folder)
    view = Store.open(folder / "s.zarr").video("clip")
    view.feature(AUDIO)
    new_feature(folder)
    assert not view.is_current()
    monkeypatch.setattr("vacli.store.reader.FRESH_S", 0.0)
    with pytest.raises(StoreError, match="was replaced by another process"):
        view.feature(AUDIO)


def test_rows_of_a_table_are_read_by_ranges():
    folder = memory_folder()
    first_edition(folder)
    store = Store.open(folder / "s.zarr")
    values = np.arange(3 * FRAMES, dtype=np.float32).reshape(FRAMES, 3)
    store.put_feature("clip", spec(AUDIO, 3).attributes(), values, np.zeros(FRAMES, np.uint8))
    view = store.video("clip")
    out = np.empty((2, 3), np.float32)
    view.read_into(f"feature/{AUDIO}", 1, out)
    assert (out == values[1:3]).all()
    object_array._cache.clear()
    with counted_requests() as made:
        view.read_into(f"feature/{AUDIO}", 2, out)
    assert (out == values[2:4]).all()
    assert made == ["read_range"]


def test_a_store_is_opened_by_its_url():
    folder = memory_folder()
    first_edition(folder)
    store = Store.open(f"{folder}/s.zarr")
    assert store.path == to_path(f"{folder}/s.zarr")
    assert str(store.path) == f"{folder}/s.zarr"
