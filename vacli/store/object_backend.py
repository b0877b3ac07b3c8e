"""A store in an object store, which has no rename.

A part ("clip/face") is complete when its `zarr.json` is there: it is written last, and only if it is absent.
Readers ignore a part or a video without it. A new part is written in place. One that replaces another is
written below `.work` first, and then a list of changes; from there it is copied, and another process
completes that if this one dies. All of this happens under the lease of the video (`lease`). A process that
takes over the lease of a dead one removes the incomplete parts.
"""

from __future__ import annotations

import json
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from vacli.errors import InputError, OutputError, StoreError
from vacli.files.object_path import ObjectPath
from vacli.files.store_folder import METADATA_FILE
from vacli.store import schema, zarr_writes
from vacli.store.creation import NEW
from vacli.store.lease import Lease, held, is_stale
from vacli.store.object_index import ObjectIndex

WORK, LEASE, CHANGES = ".work", ".lease", "changes.json"
REQUESTS = 8  # at the same time
Item = TypeVar("Item")


class ObjectBackend:
    """A store in an object store."""

    def __init__(self, path: ObjectPath) -> None:
        self._path = path
        self._bucket = path.bucket
        self.index = ObjectIndex(path)

    @classmethod
    def create(cls, path: ObjectPath) -> None:
        """Create an empty store; another process may create it at the same time."""
        with _local_folder() as place:
            schema.create_group(place / NEW, schema.root_attributes())
            metadata = (place / NEW / METADATA_FILE).read_bytes()
        path.bucket.create((path / METADATA_FILE).key, metadata)

    @contextmanager
    def place(self) -> Iterator[Path]:
        """A folder in the system's folder for temporary files."""
        with _local_folder() as place:
            yield place

    @contextmanager
    def locked(self, video_id: str) -> Iterator[None]:
        """Hold the lease of the video."""
        with self._lease(video_id):
            yield

    def apply_changes(self, place: Path, targets: Sequence[tuple[str, str | None]]) -> None:
        """Write new parts in place; if one exists already, by way of `.work`."""
        video = targets[0][0].partition("/")[0]
        with self._lease(video) as lease:
            if is_video := targets[0][0] == video:
                self.index.announce(video)
            if any((self._path / target / METADATA_FILE).is_file() for target, _ in targets):
                self._replace(lease, video, place, targets)
            else:
                for target, new in targets:
                    if new is not None:
                        self._write(lease, place / new, self._path / target)
            if is_video:
                self.index.settle(video)

    def ensure_group(self, target: str, place: Path) -> None:
        """Make a group unless it exists."""
        path: ObjectPath = self._path / target / METADATA_FILE
        if not path.is_file():
            group = place / target.rpartition("/")[2]
            schema.create_group(group, {})
            self._bucket.create(path.key, (group / METADATA_FILE).read_bytes())

    def recover(self) -> None:
        """Finish or remove the work of dead processes, if the store is writable."""
        with suppress(OutputError, InputError, StoreError):
            _, objects = self._bucket.list_folder((self._path / WORK).key)
            for key in objects:
                if key.endswith(LEASE) and is_stale(self._bucket, key):
                    with self._lease(key.rpartition("/")[2].removesuffix(LEASE)):
                        pass

    @contextmanager
    def _lease(self, video: str) -> Iterator[Lease]:
        key = (self._path / WORK / f"{video}{LEASE}").key
        with held(self._bucket, key, lambda lease: self._repair(lease, video)) as lease:
            yield lease

    def _write(self, lease: Lease, folder: Path, target: ObjectPath) -> None:
        """Write a folder's files as objects, its metadata last."""
        files = {(target / file.relative_to(folder).as_posix()).key: file for file in _files(folder)}
        marker = (target / METADATA_FILE).key
        metadata = files.pop(marker).read_bytes()
        self._bucket.delete(key for key, _ in self._bucket.list_all(target.key) if key not in files)
        _each(lease, files.items(), lambda item: self._bucket.write(item[0], item[1]))
        if not self._bucket.create(marker, metadata):
            raise StoreError(f"{target} was changed by another process", hint="run it again")

    def _replace(
        self, lease: Lease, video: str, place: Path, targets: Sequence[tuple[str, str | None]]
    ) -> None:
        job = self._path / WORK / video / uuid.uuid4().hex[:12]
        for _, new in targets:
            if new is not None:
                self._write(lease, place / new, job / new)
        self._bucket.write((job / CHANGES).key, json.dumps(list(targets)).encode())
        self._finish(lease, job)

    def _finish(self, lease: Lease, job: ObjectPath) -> None:
        """Make the listed changes; again if a process has died while it made them."""
        for target, new in json.loads((job / CHANGES).read_bytes()):
            self._move(lease, None if new is None else job / new, self._path / target)
        self._bucket.delete([(job / CHANGES).key])  # first, since the rest would be incomplete
        self._bucket.delete(key for key, _ in self._bucket.list_all(job.key))

    def _move(self, lease: Lease, source: ObjectPath | None, target: ObjectPath) -> None:
        marker = (target / METADATA_FILE).key
        copies: dict[str, str] = {}
        if source is not None:
            keys = [key for key, _ in self._bucket.list_all(source.key)]
            copies = {(target / key.removeprefix(f"{source.key}/")).key: key for key in keys}
        last = copies.pop(marker, None)
        self._bucket.delete([marker])
        self._bucket.delete(key for key, _ in self._bucket.list_all(target.key) if key not in copies)
        _each(lease, copies.items(), lambda item: self._bucket.copy(item[1], item[0]))
        if last is not None:
            self._bucket.copy(last, marker)

    def _repair(self, lease: Lease, video: str) -> None:
        """Complete the listed changes of a dead process, and remove its incomplete parts."""
        work = self._path / WORK / video
        for key, _ in self._bucket.list_all(work.key):
            if key.endswith(f"/{CHANGES}"):
                self._finish(lease, work / key.split("/")[-2])
        self._bucket.delete(key for key, _ in self._bucket.list_all(work.key))
        folder = self._path / video
        keys = {key.removeprefix(f"{folder.key}/") for key, _ in self._bucket.list_all(folder.key)}
        self._bucket.delete((folder / key).key for key in sorted(_incomplete(keys)))
        self.index.settle(video)


def _incomplete(keys: set[str]) -> set[str]:
    """Those of a video's objects that belong to a part without metadata, or to a video without."""
    if METADATA_FILE not in keys:
        return keys
    return {key for key in keys if (part := _part_of(key)) and f"{part}/{METADATA_FILE}" not in keys}


def _part_of(key: str) -> str:
    """The part that an object of a video belongs to, "" for the video and its groups of parts."""
    kind, _, rest = key.partition("/")
    if not rest or (kind in ("feature", "flag") and "/" not in rest):
        return ""
    return f"{kind}/{rest.partition('/')[0]}" if kind in ("feature", "flag") else kind


def _files(folder: Path) -> list[Path]:
    """Files below a folder; the chunks of an array come before its metadata."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(files, key=lambda path: (path.name == METADATA_FILE, path))


def _each(lease: Lease, items: Iterable[Item], work: Callable[[Item], object]) -> None:
    """Call `work` on all items, some at a time, while the lease is renewed."""
    with ThreadPoolExecutor(REQUESTS) as pool:
        for _ in pool.map(work, items):
            lease.renew()


@contextmanager
def _local_folder() -> Iterator[Path]:
    with (
        tempfile.TemporaryDirectory(prefix="va-", ignore_cleanup_errors=True) as folder,
        zarr_writes.all_ended(),
    ):
        yield Path(folder)
