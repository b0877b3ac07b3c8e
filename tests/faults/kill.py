"""Instants at which a step is killed: after a time, or at the n-th thing that it changes on disk."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

CHANGES = {
    "os.link",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.symlink",
    "os.truncate",
    "shutil.copyfile",
    "shutil.move",
    "shutil.rmtree",
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def kill_at_write(folder: Path, number: int | None, count_file: str) -> None:
    """End this process and its children by SIGKILL just before their `number`-th (from 1) change in `folder`.

    `count_file` gets a byte for each change, so that the children's count too.
    """
    root = os.fspath(folder.resolve())
    counted = os.open(count_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            if not _opens_for_writing(root, *arguments[:3]):
                return
        elif event not in CHANGES:
            return
        os.write(counted, b".")
        if os.lseek(counted, 0, os.SEEK_CUR) == number:
            os.killpg(0, signal.SIGKILL)

    sys.addaudithook(hook)


def _opens_for_writing(root: str, path: object, mode: object, flags: object) -> bool:
    if not isinstance(path, str | bytes):
        return False
    where = os.path.abspath(os.fsdecode(path))
    writes = isinstance(flags, int) and bool(flags & WRITING)
    return (writes or (isinstance(mode, str) and any(c in mode for c in "wax+"))) and where.startswith(root)


def instants(
    count: int, changes: int, duration_s: float, seed: tuple[int, ...]
) -> Iterator[dict[str, float]]:
    """`count` instants spread over a run: the first half at its changes on disk, the rest at times.

    changes, duration_s: of an undisturbed run. Each instant is drawn from its own stratum. At every second
    time only the process that was started is killed; its children must notice that.
    """
    rng = np.random.default_rng(seed)
    by_change = min(count - count // 2, changes)
    for i in range(by_change):
        low, high = (i * changes // by_change, (i + 1) * changes // by_change)
        yield {"kill_at_write": int(rng.integers(low, max(high, low + 1))) + 1}
    for i in range(count - by_change):
        after_s = float((i + rng.random()) / (count - by_change) * duration_s)
        yield {"kill_after_s": after_s, "kill_children": i % 2 == 0}
