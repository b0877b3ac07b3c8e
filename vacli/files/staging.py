"""Local copies of recordings in object stores, in a folder of bounded size.

A recording is copied as a whole: its hash needs each byte anyway, and decoders open a file several times. The
folder is `$VA_STAGING`, by default `va/staging` in the user's cache folder; `$VA_STAGING_GB` bounds its size
(10 by default). The copies that were used longest ago are removed first.

A thread reads one recording at a time: the copy that it asked for last is in use until it asks for another
one or ends. Copies in use are locked and not removed, even if the folder is then larger than its bound.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from vacli.errors import InputError, UsageError
from vacli.files.disk_space import report_write_errors

try:
    import fcntl
except ImportError:  # Windows, which does not remove open files
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from vacli.files.object_path import ObjectPath

DEFAULT_GB = 10.0
FRESH_S = 60.0  # a copy is not compared with its object again within this time
STALE_PART_S = 24 * 3600.0  # after which a part that no process has completed is removed
PART = ".part"
_checked: dict[str, tuple[float, Path]] = {}  # URL -> time of the last comparison, its copy
_locks: dict[str, threading.Lock] = {}
_of_thread = threading.local()  # use: the copy that the thread uses


class _Use:
    """An open copy with a shared lock, until the object is deleted.

    Raises FileNotFoundError if the copy was removed before it was locked.
    """

    def __init__(self, url: str, copy: Path) -> None:
        self.url = url
        self._file = _open(copy)
        if fcntl is not None:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(self._file, fcntl.LOCK_SH)
        if not os.path.samestat(os.fstat(self._file), copy.stat()):
            raise FileNotFoundError(2, "removed", str(copy))

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            os.close(self._file)


def local_copy(path: ObjectPath) -> str:
    """The path of a local copy of an object, which is fetched if it is not there.

    The calling thread then uses this copy and no other one. Raises InputError if the object does not exist,
    cannot be read, or is larger than the folder may be.
    """
    url = str(path)
    before: _Use | None = getattr(_of_thread, "use", None)
    if before is not None and before.url != url:
        before = _of_thread.use = None  # so that it may make room for the other one
    while True:
        copy = _present(path)
        with suppress(FileNotFoundError):  # another thread or process has removed it
            _of_thread.use = _Use(url, copy)
            break
    with suppress(OSError):
        os.utime(copy)
    return str(copy)


def folder() -> Path:
    """The folder of the copies."""
    if named := os.environ.get("VA_STAGING"):
        return Path(named)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "va" / "staging"


def limit_bytes() -> int:
    """The largest size of the folder. Raises UsageError for a limit that is no positive number."""
    text = os.environ.get("VA_STAGING_GB", str(DEFAULT_GB))
    try:
        size_gb = float(text)
    except ValueError:
        size_gb = 0.0
    if not 0 < size_gb < float("inf"):
        raise UsageError(f"VA_STAGING_GB is {text!r}", hint="write a number of gigabytes, such as 10")
    return int(size_gb * 1e9)


def _present(path: ObjectPath) -> Path:
    url = str(path)
    with _locks.setdefault(url, threading.Lock()):
        checked_s, copy = _checked.get(url, (-FRESH_S, Path()))
        if time.monotonic() - checked_s >= FRESH_S or not copy.is_file():
            copy = _fetched(path)
            _checked[url] = time.monotonic(), copy
    return copy


def _fetched(path: ObjectPath) -> Path:
    facts = path.facts() if path.key else None
    if facts is None:
        raise InputError(f"{path}: no such file or folder")
    name = hashlib.sha256(f"{path}\n{facts.tag}\n{facts.size_bytes}".encode()).hexdigest()[:32]
    copy = folder() / f"{name}{path.suffix}"
    if copy.is_file() and copy.stat().st_size == facts.size_bytes:
        return copy
    if facts.size_bytes > limit_bytes():
        raise InputError(
            f"{path}: has {facts.size_bytes / 1e9:.3g} GB, more than the local copies may have",
            hint="set VA_STAGING_GB to a larger number",
        )
    with report_write_errors(copy, facts.size_bytes):
        folder().mkdir(parents=True, exist_ok=True)
        _make_room(facts.size_bytes)
        part = copy.with_name(f"{copy.name}-{uuid.uuid4().hex[:8]}{PART}")
        try:
            path.bucket.download(path.key, str(part))
            part.replace(copy)
        finally:
            part.unlink(missing_ok=True)
    return copy


def _make_room(size_bytes: int) -> None:
    """Remove the copies that were used longest ago until `size_bytes` more fit, or the rest is in use."""
    copies = sorted(_copies(), key=lambda one: one[1].st_mtime)
    excess = sum(about.st_size for _, about in copies) + size_bytes - limit_bytes()
    for copy, about in copies:
        is_stale_part = copy.suffix == PART and time.time() - about.st_mtime > STALE_PART_S
        if is_stale_part or (excess > 0 and copy.suffix != PART):
            with suppress(OSError):  # it is in use, or another process has removed it
                _remove_unused(copy)
                excess -= about.st_size


def _remove_unused(copy: Path) -> None:
    """Remove a copy. Raises OSError if a thread of this machine uses it."""
    if fcntl is None:
        copy.unlink()
        return
    file = _open(copy)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise
        copy.unlink()
    finally:
        os.close(file)


def _open(copy: Path) -> int:
    """Open a copy, for writing if it may be: network file systems lock only such files."""
    try:
        return os.open(copy, os.O_RDWR)
    except PermissionError:
        return os.open(copy, os.O_RDONLY)


def _copies() -> Iterator[tuple[Path, os.stat_result]]:
    for copy in folder().iterdir():
        with suppress(OSError):
            yield copy, copy.stat()
