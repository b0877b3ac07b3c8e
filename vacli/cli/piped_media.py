"""Recordings that come through stdin or a pipe are copied to a temporary file, so that any container works.

`-` stands for paths, one a line, or for a recording. It is a recording if its first bytes hold control
characters and its first line is not a path: file names hardly have any, and containers always do.
"""

from __future__ import annotations

import atexit
import codecs
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Sequence
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, cast

from vacli.cli import options
from vacli.errors import InputError
from vacli.files.disk_space import report_write_errors
from vacli.media.signature import CONTROL, HEAD_BYTES

STDIN = "-"
MAX_BYTES = 16 << 30
BLOCK_BYTES = 1 << 20


def read_inputs(values: Sequence[str]) -> tuple[tuple[Path, ...], dict[str, str]]:
    """The paths of inputs as `options.read_inputs`, and the names of those that are copies of pipes.

    The copies are removed at the end of this process. Raises InputError for a pipe with no data or more than
    MAX_BYTES, and OutputError if the disk is full.
    """
    names: dict[str, str] = {}
    changed = []
    for value in values:
        copy = _copied(value)
        if copy is not None:
            names[str(copy)] = value
        changed.append(value if copy is None else str(copy))
    return options.read_inputs(changed), names


def _copied(value: str) -> Path | None:
    """The copy of a recording in a pipe; None for all other inputs."""
    if value == STDIN:
        stdin = cast(BufferedReader, sys.stdin.buffer)
        return _copy(stdin, STDIN) if is_media(stdin.peek(HEAD_BYTES)[:HEAD_BYTES]) else None
    if not _is_pipe(value):
        return None
    with open(value, "rb") as pipe:
        return _copy(pipe, value)


def _is_pipe(path: str) -> bool:
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def is_media(head: bytes) -> bool:
    """Whether the first bytes of stdin are those of a recording, and not of a list of paths."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return False
    lines = head.replace(b"\0", b"\n").splitlines()
    first = next((line for line in lines if line.strip()), b"")
    return bool(CONTROL.search(head.replace(b"\0", b""))) and not os.path.lexists(os.fsdecode(first))


def _copy(pipe: BinaryIO, name: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="va-pipe-"))
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:  # a child process ends earlier
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    path, size = folder / "stdin", 0
    with report_write_errors(path), open(path, "wb") as file:
        while block := pipe.read(BLOCK_BYTES):
            size += len(block)
            if size > MAX_BYTES:
                raise InputError(
                    f"{name}: more than {MAX_BYTES >> 30} GB come through the pipe",
                    hint="name a file, or use `va live` for a stream without an end",
                )
            file.write(block)
    if not size:
        raise InputError(f"{name}: the pipe is empty", hint="check whether the program before it failed")
    return path
