"""Work folders: `STORE/.work` for the parts of a store, `.STORE.work` beside it for the store itself.

Both are on the file system of the store, so that a finished folder is renamed into place. Each process has a
folder of its own in there, with an owner file that it keeps locked. A folder is left over from a dead process
if the lock is free and the owner ran on this kernel. Other folders count as left over after `OLD_S` without
a change.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from vacli.errors import OutputError, StoreError
from vacli.files.disk_space import report_write_errors
from vacli.store import locks, zarr_writes

FOLDER, OWNER = ".work", "owner"
MAX_TRIES = 100  # while other processes create and remove the same folders
STALE_AFTER_S = 7 * 24 * 3600.0

_in_use: set[str] = set()  # of this process, since some network file systems grant it its own lock again


class WorkFolder:
    """A folder for unfinished work; it exists only while there is some."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def inside(cls, store: Path) -> WorkFolder:
        """The folder for parts of a store."""
        return cls(store / FOLDER)

    @classmethod
    def beside(cls, store: Path) -> WorkFolder:
        """The folder for a store that is being created. Earlier versions made the parts here, too."""
        return cls(store.parent / f".{store.name}{FOLDER}")

    @contextmanager
    def place(self) -> Iterator[Path]:
        """A new, empty folder, which is removed with its content at the end.

        Raises StoreError if it cannot be created, OutputError if the disk is full.
        """
        place, file = self._make()
        _in_use.add(place.name)
        try:
            with zarr_writes.all_ended():
                yield place
        finally:
            file.close()  # an open file cannot be removed everywhere
            self._give_back(place)
            _in_use.discard(place.name)

    def stale(self) -> Iterator[Path]:
        """The folders of dead processes; each is locked during its iteration and removed after it."""
        for place in self.path.iterdir() if self.path.is_dir() else ():
            if place.name in _in_use:
                continue
            with suppress(OSError):  # empty: its process died before it locked the folder, or retries
                place.rmdir()
            with suppress(OSError), _owner(place) as file:  # its process may be removing it
                if _is_stale(place, file):
                    yield place
                    _remove(place)
        self._remove_if_empty()

    def remove_stale(self) -> None:
        """Remove the work of dead processes without completing it."""
        for _ in self.stale():
            pass

    def _make(self) -> tuple[Path, BinaryIO]:
        error: OSError | None = None
        for _ in range(MAX_TRIES):
            place = self.path / uuid.uuid4().hex[:12]
            try:
                self.path.mkdir(exist_ok=True)
                place.mkdir()
                file = (place / OWNER).open("x+b")
            except (FileExistsError, FileNotFoundError) as problem:  # another process removed the folder
                error = problem
                continue
            except OSError as problem:
                error = problem
                break
            outcome = locks.acquire(file)
            if outcome != "busy" and _has_name(place / OWNER, file):
                try:
                    with report_write_errors(self.path):
                        file.write(locks.kernel_id().encode() if outcome == "held" else b"")
                        file.flush()
                except OutputError:  # without its content the owner file would not count as stale for long
                    with suppress(OSError):  # closing writes once more
                        file.close()
                    self._give_back(place)
                    raise
                return place, file
            file.close()
        raise StoreError(
            f"{self.path} cannot be written: {error.strerror if error else 'other processes remove it'}",
            hint="name a store in a folder with write permission",
        )

    def _give_back(self, place: Path) -> None:
        _remove(place)
        self._remove_if_empty()

    def _remove_if_empty(self) -> None:
        with suppress(OSError):  # other processes use it, or it does not exist
            self.path.rmdir()


@contextmanager
def _owner(place: Path) -> Iterator[BinaryIO | None]:
    """The open owner file of a process's folder, or None if it does not exist (yet)."""
    try:
        file = (place / OWNER).open("r+b")
    except FileNotFoundError:
        yield None
        return
    with file:
        yield file


def _is_stale(place: Path, file: BinaryIO | None) -> bool:
    outcome = "unsupported" if file is None else locks.acquire(file)
    if outcome == "busy":
        return False
    trusted = file is not None and outcome == "held" and file.read() == locks.kernel_id().encode()
    return trusted or time.time() - _last_change_s(place) > STALE_AFTER_S


def _has_name(path: Path, file: BinaryIO) -> bool:
    """Whether `path` is still the name of an open file."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False


def _last_change_s(place: Path) -> float:
    return max(path.lstat().st_mtime for path in [place, *place.rglob("*")])


def _remove(place: Path) -> None:
    """Remove a folder, its owner file last, without which a rest of it would not count as stale."""
    with suppress(OSError):
        for path in place.iterdir():
            if path.name != OWNER:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    shutil.rmtree(place, ignore_errors=True)
