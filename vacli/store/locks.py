"""Locks that the kernel holds: they end with their process, however it ends and in whatever container."""

from __future__ import annotations

import errno
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import BinaryIO, Literal

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

Outcome = Literal["held", "busy", "unsupported"]

BUSY = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}
RETRY_S = 0.02  # where the system cannot wait for a lock
FAR = 1 << 30  # Windows locks bytes against reading, so lock one that no file has
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@cache
def kernel_id() -> str:
    """Name of the running kernel: all its containers share the name, and its locks."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return socket.gethostname()


@contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Wait for a lock on an existing file and hold it; without effect where the file system has no locks."""
    with _opened(path) as file:
        acquire(file, wait=True, shared=shared)
        try:
            yield
        finally:
            release(file)


def acquire(file: BinaryIO, *, wait: bool = False, shared: bool = False) -> Outcome:
    """Lock an open file. "busy": another open file holds it. "unsupported": the file system has no locks."""
    while True:
        try:
            _lock(file, wait, shared)
            return "held"
        except OSError as error:
            if error.errno not in BUSY:
                return "unsupported"
        if not wait:
            return "busy"
        time.sleep(RETRY_S)


def release(file: BinaryIO) -> None:
    """Give a lock back now: processes that inherited the open file would keep it alive."""
    try:
        _unlock(file)
    except OSError:  # there was none
        return


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("r+b")  # network file systems lock only what is open for writing
    except OSError:
        return path.open("rb")


if sys.platform == "win32":

    def _lock(file: BinaryIO, wait: bool, shared: bool) -> None:
        file.seek(FAR)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

    def _unlock(file: BinaryIO) -> None:
        file.seek(FAR)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:

    def _lock(file: BinaryIO, wait: bool, shared: bool) -> None:
        how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        fcntl.flock(file, how if wait else how | fcntl.LOCK_NB)

    def _unlock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
