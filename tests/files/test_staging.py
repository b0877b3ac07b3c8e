"""Local copies of objects, paths of objects, and errors of requests."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from synth.object_stores import S3Server, memory_folder

from vacli.errors import InputError, UsageError
from vacli.files import staging
from vacli.files.object_path import ObjectPath, to_path

pytest.importorskip("obstore")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("VA_STAGING", str(tmp_path / "staging"))
    monkeypatch.setattr(staging, "FRESH_S", 0.0)
    return tmp_path / "staging"


def put(path: ObjectPath, data: bytes) -> ObjectPath:
    path.bucket.write(path.key, data)
    return path


def local(path: ObjectPath) -> bytes:
    """The content of the local copy."""
    with open(path, "rb") as file:
        return file.read()


def test_an_object_is_opened_by_its_local_copy(folder):
    path = put(memory_folder() / "a b#~.mp4", b"first")
    assert local(path) == b"first"
    assert local(path) == b"first"
    assert len(list(folder.iterdir())) == 1
    put(path, b"other")
    assert local(path) == b"other"


def test_the_copies_that_were_used_longest_ago_are_removed(folder, monkeypatch):
    monkeypatch.setenv("VA_STAGING_GB", "2.5e-6")
    base = memory_folder()
    paths = [put(base / f"{number}.bin", bytes([number]) * 1000) for number in range(5)]
    for path in paths:
        assert local(path) == path.read_bytes()
        assert sum(copy.stat().st_size for copy in folder.iterdir()) <= 2500
    with pytest.raises(InputError, match="more than the local copies may have"):
        local(put(base / "large.bin", bytes(3000)))


def test_a_copy_that_another_thread_uses_is_not_removed(folder, monkeypatch):
    monkeypatch.setenv("VA_STAGING_GB", "1.5e-6")
    paths = [put(memory_folder() / "a.bin", bytes([number]) * 1000) for number in range(3)]
    with ThreadPoolExecutor(1) as pool:
        used = Path(pool.submit(os.fspath, paths[0]).result())
        for path in paths[1:]:
            assert local(path) == path.read_bytes()
            assert used.read_bytes() == paths[0].read_bytes()
        assert len(list(folder.iterdir())) == 2
    local(paths[1])  # the thread has ended
    assert not used.exists()


USE = """
import sys
from pathlib import Path
from vacli.files.staging import _Use
use = _Use("", Path(sys.argv[1]))
print(flush=True)
sys.stdin.read()
"""


def test_a_copy_that_another_process_uses_is_not_removed(monkeypatch):
    monkeypatch.setenv("VA_STAGING_GB", "1.5e-6")
    paths = [put(memory_folder() / "a.bin", bytes([number]) * 1000) for number in range(3)]
    used = Path(os.fspath(paths[0]))
    command = [sys.executable, "-c", USE, str(used)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        local(paths[1])
        assert used.exists()
        process.communicate()
    local(paths[2])
    assert not used.exists()


def test_a_copy_that_is_removed_before_it_is_locked_is_fetched_again(monkeypatch):
    path = put(memory_folder() / "a.bin", b"data")
    plain, removed = staging._present, []

    def present(path: ObjectPath) -> Path:
        copy = plain(path)
        if not removed:
            removed.append(copy)
            copy.unlink()
        return copy

    monkeypatch.setattr(staging, "_present", present)
    assert local(path) == b"data"
    assert removed


def test_an_absent_object_and_a_wrong_limit_are_reported(monkeypatch):
    path = memory_folder() / "a.mp4"
    with pytest.raises(InputError, match="no such file or folder"):
        local(path)
    monkeypatch.setenv("VA_STAGING_GB", "much")
    with pytest.raises(UsageError, match="VA_STAGING_GB is 'much'"):
        local(put(path, b"x"))


def test_paths_keep_their_url():
    path = to_path("s3://bucket/a.zarr")
    assert str(path / "clip" / "time") == "s3://bucket/a.zarr/clip/time"
    assert str(path.parent) == "s3://bucket"
    assert pickle.loads(pickle.dumps(path)) == path
    assert path != Path("s3:/bucket/a.zarr")
    assert isinstance(to_path("a.zarr"), Path)
    assert not isinstance(to_path("a.zarr"), ObjectPath)
    with pytest.raises(UsageError, match="cannot be written as a file"):
        path.open("w")


def put_key(s3: S3Server, base: ObjectPath, key: str, data: bytes) -> None:
    """Write an object whose key may be any text, as consoles do."""
    address = f"{s3.environment['AWS_ENDPOINT_URL']}/{base.parts[1]}/{key}"
    urlopen(Request(address, data=data, method="PUT")).close()


def test_markers_of_folders_are_no_files(s3: S3Server):
    base = s3.folder()
    files = {"folder/a.wav": b"a", "folder/sub/b.wav": b"b", "folder/sub-c.wav": b"", "folder/sub/empty": b""}
    for key, data in (files | dict.fromkeys(("folder/", "folder/sub/"), b"")).items():
        put_key(s3, base, key, data)
    assert sorted(path.key for path in base.rglob("*")) == sorted(files)
    names = [path.name for path in base.iterdir()]
    assert sorted(names) == ["a.wav", "sub", "sub-c.wav"]
    assert [path.name for path in (base / "sub").iterdir()] == ["b.wav", "empty"]
    assert not (base / "sub").is_file()


def test_the_marker_of_an_empty_folder_keeps_it(s3: S3Server):
    base = s3.folder()
    put_key(s3, base, "folder/", b"")
    assert base.is_dir()
    assert not list(base.iterdir())
    assert not list(base.rglob("*"))


@pytest.mark.parametrize("key", ["folder//odd.mp4", "folder/sub/../odd.mp4"])
def test_an_object_with_an_unusable_name_is_reported_as_the_cause(key: str, s3: S3Server):
    base = s3.folder()
    put_key(s3, base, key, b"x")
    with pytest.raises(InputError, match=re.escape(key)) as caught:
        next(base.rglob("*"))
    assert "rename that object" in caught.value.hint


def test_conditional_writes(s3: S3Server):
    for base in (memory_folder(), s3.folder()):
        path = base / "a"
        assert path.bucket.create(path.key, b"1")
        assert path.bucket.create(path.key, b"1")  # as a repeated request whose first answer was lost
        assert not path.bucket.create(path.key, b"2")
        before = path.facts()
        assert path.bucket.replace(path.key, b"3", before)
        assert not path.bucket.replace(path.key, b"4", before)
        assert path.read_bytes() == b"3"
