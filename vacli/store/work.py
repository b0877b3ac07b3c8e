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

from vacli.errors import StoreError
from vacli.store import locks

FOLDER, OWNER = ".work", "owner"
TRIES = 100  # at what others may do or undo at the same moment
STALE_AFTER_S = 7 * 24 * 3600.0

_own: set[str] = set()  # folders of this process: some network file systems give a process its own lock twice


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
        """A new, empty folder; it is removed in the end, with what is still in it."""
        place, file = self._make()
        _own.add(place.name)
        try:
            yield place
        finally:
            file.close()  # an open file cannot be removed everywhere
            _remove(place)
            _own.discard(place.name)
            self._tidy()

    def dead(self) -> Iterator[Path]:
        """Folders whose makers are gone; each is locked while the caller has it, and removed after."""
        for place in self.path.iterdir() if self.path.is_dir() else ():
            if place.name in _own:
                continue
            with suppress(OSError):  # empty: its maker died before it could lock it, or takes another one
                place.rmdir()
            with suppress(OSError), _owner(place) as file:  # its maker may be removing it right now
                if _is_dead(place, file):
                    yield place
                    _remove(place)
        self._tidy()

    def sweep(self) -> None:
        """Remove the work of dead processes without completing it."""
        for _ in self.dead():
            pass

    def _make(self) -> tuple[Path, BinaryIO]:
        error: OSError | None = None
        for _ in range(TRIES):
            place = self.path / uuid.uuid4().hex[:12]
            try:
                self.path.mkdir(exist_ok=True)
                place.mkdir()
                file = (place / OWNER).open("x+b")
            except (FileExistsError, FileNotFoundError) as problem:  # somebody tidied up at the same moment
                error = problem
                continue
            except OSError as problem:
                error = problem
                break
            outcome = locks.acquire(file)
            if outcome != "busy" and _is_still(place / OWNER, file):
                file.write(locks.kernel_id().encode() if outcome == "held" else b"")
                file.flush()
                return place, file
            file.close()
        raise StoreError(
            f"{self.path} cannot be written to: {error.strerror if error else 'others are in the way'}",
            hint="name a store in a folder that can be written to",
        )

    def _tidy(self) -> None:
        with suppress(OSError):  # others are still at work in there, or there is none
            self.path.rmdir()


@contextmanager
def _owner(place: Path) -> Iterator[BinaryIO | None]:
    """The owner file of somebody's folder, or None where there is none (yet)."""
    try:
        file = (place / OWNER).open("r+b")
    except FileNotFoundError:
        yield None
        return
    with file:
        yield file


def _is_dead(place: Path, file: BinaryIO | None) -> bool:
    outcome = "unsupported" if file is None else locks.acquire(file)
    if outcome == "busy":
        return False
    trusted = file is not None and outcome == "held" and file.read() == locks.kernel_id().encode()
    return trusted or time.time() - _last_change_s(place) > STALE_AFTER_S


def _is_still(path: Path, file: BinaryIO) -> bool:
    """Whether an open file still has its name."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False


def _last_change_s(place: Path) -> float:
    return max(path.lstat().st_mtime for path in [place, *place.rglob("*")])


def _remove(place: Path) -> None:
    """Remove a folder, last its owner file: what is left of one without it is not known to be dead."""
    with suppress(OSError):
        for path in place.iterdir():
            if path.name != OWNER:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    shutil.rmtree(place, ignore_errors=True)
