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
SEPARATOR = "\0"  # of the names of a video
SPARE_LINES = 1000  # outdated lines, beyond one for each video, before the file is written again


class Content(NamedTuple):
    """The recording behind a video, the suffix of its person and its names.

    folder: the inode of the video's folder. inode, mtime_ns: the revision of its metadata
    (`commit.revision`), 0 if there is none. names: joined by SEPARATOR, since many sets take long to make.
    """

    folder: int
    inode: int
    mtime_ns: int
    sha256: str = ""
    person: str | None = None
    names: str = ""

    @property
    def revision(self) -> tuple[int, int] | None:
        """The revision of the video's metadata, None if it has none."""
        return (self.inode, self.mtime_ns) if self.inode else None


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
        return dict(parse(lines))

    def append(self, contents: Mapping[str, Content]) -> None:
        """Append lines, which other processes may do at the same time."""
        with suppress(OSError):
            self._path.touch()
            with locks.locked(self._path), self._path.open("ab") as file:
                file.write(b"\n" + encode(contents))  # the last line may have been cut short

    def compact(self, contents: Mapping[str, Content]) -> None:
        """Write the file again if it has many outdated lines. contents: those of all videos."""
        if self._lines <= 2 * len(contents) + SPARE_LINES:
            return
        draft = self._path.with_name(f"{NAME}.part")
        with suppress(OSError), locks.locked(self._path):
            draft.write_bytes(encode(contents))
            about = draft.stat()
            draft.replace(self._path)
            self._inode, self._end, self._lines = about.st_ino, about.st_size, len(contents)


def encode(contents: Mapping[str, Content]) -> bytes:
    """The lines of some videos."""
    lines = (json.dumps([video, *content]).encode() for video, content in contents.items())
    return b"".join(b"%08x %s\n" % (zlib.crc32(line), line) for line in lines)


def parse(lines: list[bytes]) -> Iterator[tuple[str, Content]]:
    """Contents by video; lines that were cut short, or are of another version, are left out."""
    whole = [line[9:] for line in lines if line[:8] == b"%08x" % zlib.crc32(line[9:])]
    for row in json.loads(b"[%s]" % b",".join(whole)):
        if isinstance(row, list) and len(row) == 1 + len(Content._fields):
            yield row[0], Content._make(row[1:])
