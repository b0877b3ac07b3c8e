"""A file with the recordings of a store's videos, so that no video has to be read to find one.

It has one line for each video, and lines are appended: the last one of a video counts. Every line has a
CRC-32. The file repeats what the videos hold: without it, or after damage, `index` reads the videos again.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from vacli.store import locks

NAME = ".videos.jsonl"
SPARE_LINES = 1000  # outdated lines, beyond one for each video, before the file is written again


class Content(NamedTuple):
    """The recording behind a video, the suffix of its person and its names.

    folder: the inode of the video's folder. revision: that of its metadata (`commit.revision`).
    """

    folder: int
    revision: tuple[int, int] | None
    sha256: str
    person: str | None
    names: frozenset[str]


class IndexFile:
    """The index file of one store. Errors of writing are ignored, since the file is a copy."""

    def __init__(self, store: Path) -> None:
        self._path = store / NAME
        self._inode = 0
        self._end = 0  # bytes that were read
        self._lines = 0  # in these bytes

    def read_new(self) -> dict[str, Content]:
        """Contents of the lines that were appended since the last call, by video; all at the first call."""
        try:
            with self._path.open("rb") as file:
                about = os.fstat(file.fileno())
                if about.st_ino != self._inode or about.st_size < self._end:  # it was written again
                    self._inode, self._end, self._lines = about.st_ino, 0, 0
                file.seek(self._end)
                data = file.read()
        except OSError:
            return {}
        data = data[: data.rfind(b"\n") + 1]  # another process may be writing the last line
        self._end += len(data)
        lines = [line for line in data.split(b"\n") if line]
        self._lines += len(lines)
        return dict(_parsed(lines))

    def append(self, contents: Mapping[str, Content]) -> None:
        """Append lines, which other processes may do at the same time."""
        with suppress(OSError):
            self._path.touch()
            with locks.locked(self._path), self._path.open("ab") as file:
                file.write(b"\n" + _encoded(contents))  # the last line may have been cut short

    def compact(self, contents: Mapping[str, Content]) -> None:
        """Write the file again if it has many outdated lines. contents: those of all videos."""
        if self._lines <= 2 * len(contents) + SPARE_LINES:
            return
        draft = self._path.with_name(f"{NAME}.part")
        with suppress(OSError), locks.locked(self._path):
            draft.write_bytes(_encoded(contents))
            about = draft.stat()
            draft.replace(self._path)
            self._inode, self._end, self._lines = about.st_ino, about.st_size, len(contents)


def _encoded(contents: Mapping[str, Content]) -> bytes:
    lines = []
    for video, c in contents.items():
        line = json.dumps([video, c.folder, c.revision, c.sha256, c.person, sorted(c.names)]).encode()
        lines.append(b"%08x %s\n" % (zlib.crc32(line), line))
    return b"".join(lines)


def _parsed(lines: list[bytes]) -> Iterator[tuple[str, Content]]:
    whole = [line[9:] for line in lines if line[:8] == b"%08x" % zlib.crc32(line[9:])]
    for video, folder, revision, sha256, person, names in json.loads(b"[%s]" % b",".join(whole)):
        seen = (revision[0], revision[1]) if revision else None
        yield video, Content(folder, seen, sha256, person, frozenset(names))
