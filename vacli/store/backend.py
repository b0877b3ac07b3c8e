"""Where a store lies: a local folder, or an object store (`object_backend`).

A backend makes new parts in a local work folder and replaces parts of the store by them. All else is the same
for both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from vacli.files.object_path import ObjectPath
from vacli.files.store_folder import METADATA_FILE
from vacli.store import commit, locks, schema
from vacli.store.creation import create_store
from vacli.store.index import Index
from vacli.store.object_backend import ObjectBackend
from vacli.store.work import WorkFolder


class Backend(Protocol):
    """How a store at one kind of place is written."""

    @property
    def index(self) -> Index:
        """The videos of the store."""
        ...

    def place(self) -> AbstractContextManager[Path]:
        """A new, empty local folder for new parts, which is removed at the end."""
        ...

    def locked(self, video_id: str) -> AbstractContextManager[None]:
        """Hold the lock under which a video is added and its parts are replaced."""
        ...

    def apply_changes(self, place: Path, targets: Sequence[tuple[str, str | None]]) -> None:
        """Replace (target, new) pairs, all or none; `new` is a folder of `place`, None to remove `target`.

        The caller holds the lock of the video.
        """
        ...

    def ensure_group(self, target: str, place: Path) -> None:
        """Make a group ("clip/feature") unless it exists."""
        ...

    def recover(self) -> None:
        """Finish or remove the work of dead processes, if the store is writable."""
        ...


class LocalBackend:
    """A store in a local folder: parts are renamed into place under the lock of the store."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._work = WorkFolder.inside(path)
        self.index = Index(path)

    def place(self) -> AbstractContextManager[Path]:
        """A folder on the file system of the store."""
        return self._work.place()

    @contextmanager
    def locked(self, video_id: str) -> Iterator[None]:
        """Hold the lock of the store."""
        with locks.locked(self._path / METADATA_FILE):
            yield

    def apply_changes(self, place: Path, targets: Sequence[tuple[str, str | None]]) -> None:
        """Rename the new parts into place."""
        commit.apply_changes(self._path, place, targets)

    def ensure_group(self, target: str, place: Path) -> None:
        """Make a group unless it exists."""
        path = self._path / target
        if not (path / METADATA_FILE).exists():
            schema.create_group(place / path.name, {})
            path.mkdir(exist_ok=True)
            (place / path.name / METADATA_FILE).replace(path / METADATA_FILE)

    def recover(self) -> None:
        """Make the changes that dead processes had listed, and remove their work folders."""
        with suppress(OSError):
            for place in self._work.stale():
                with self.locked(""):
                    commit.replay_changes(self._path, place)
            WorkFolder.beside(self._path.resolve()).remove_stale()


def backend_of(path: Path) -> Backend:
    """The backend of a store."""
    return ObjectBackend(path) if isinstance(path, ObjectPath) else LocalBackend(path)


def create(path: Path) -> None:
    """Create an empty store in one step; another process may create it at the same time."""
    if isinstance(path, ObjectPath):
        ObjectBackend.create(path)
    else:
        create_store(path.resolve())  # a link may point to a folder that does not exist yet
