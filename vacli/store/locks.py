"""File locks of the kernel, which end with their process."""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import BinaryIO, Literal

from vacli.files.object_path import ObjectPath

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LockState = Literal["held", "busy", "unsupported"]

BUSY_ERRNOS = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}
RETRY_S = 0.02  # on systems that cannot wait for a lock
LOCK_OFFSET = 1 << 30  # Windows blocks reading of locked bytes, so lock one beyond the end of any file
_of_thread = threading.local()
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@cache
def kernel_id() -> str:
    """Identity of the running kernel; all of its containers share it and its locks."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return socket.gethostname()


@contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Wait for a lock on an existing file and hold it; no effect on a file system or object store without.

    A thread that holds it already goes on at once: it would wait for its own lock without end.
    """
    if isinstance(path, ObjectPath):
        yield
        return
    with _opened(path) as file:
        about = os.fstat(file.fileno())
        key, held = (about.st_dev, about.st_ino), _held()
        if key in held:
            yield
            return
        acquire(file, wait=True, shared=shared)
        held.add(key)
        try:
            yield
        finally:
            held.discard(key)
            release(file)


def acquire(file: BinaryIO, *, wait: bool = False, shared: bool = False) -> LockState:
    """Lock an open file. "busy": another open file holds it. "unsupported": the file system has no locks."""
    while True:
        try:
            _lock(file, wait, shared)
            return "held"
        except OSError as error:
            if error.errno not in BUSY_ERRNOS:
                return "unsupported"
        if not wait:
            return "busy"
        time.sleep(RETRY_S)


def release(file: BinaryIO) -> None:
    """Release a lock, which a process that inherited the open file would keep otherwise."""
    try:
        _unlock(file)
    except OSError:  # it was not locked
        return


def _held() -> set[tuple[int, int]]:
    """Device and inode of the files that this thread has locked with `locked`."""
    if not hasattr(_of_thread, "held"):
        _of_thread.held = set()
    return _of_thread.held


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("r+b")  # network file systems lock only what is open for writing
    except OSError:
        return path.open("rb")


if sys.platform == "win32":

    def _lock(file: BinaryIO, wait: bool, shared: bool) -> None:
        file.seek(LOCK_OFFSET)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

    def _unlock(file: BinaryIO) -> None:
        file.seek(LOCK_OFFSET)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:

    def _lock(file: BinaryIO, wait: bool, shared: bool) -> None:
        how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(file, how if wait else how | fcntl.LOCK_NB)

    def _unlock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
