"""The index of the videos of a store in an object store: one object, and one for each recent video.

`.index/videos.jsonl` has a line for each video. Before a video is added or removed, an object
`.index/new/NAME` announces it, and readers then look for the video itself. When there are many, the announced
videos are moved into the index by a conditional write.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from vacli.errors import InputError, OutputError
from vacli.files.object_client import ObjectFacts
from vacli.files.object_path import ObjectPath
from vacli.files.store_folder import METADATA_FILE
from vacli.store.index import Index
from vacli.store.index_file import Content, encode, parse

FOLDER, FILE, NEW = ".index", "videos.jsonl", "new"
MAX_NEW = 256  # announced videos, before they are moved into the index
REQUESTS = 16  # at the same time
MAX_TRIES = 20  # to change the index, while other processes do


class ObjectIndex(Index):
    """The videos of a store by name and by recording. Threads may share an index."""

    def __init__(self, path: ObjectPath) -> None:
        super().__init__(path)
        self._path: ObjectPath = path
        self._bucket = path.bucket
        self._key = (path / FOLDER / FILE).key
        self._facts: ObjectFacts | None = None  # of the index that was read
        self._indexed: dict[str, Content] = {}  # its videos

    def ids(self) -> list[str]:
        """Names of all videos, sorted."""
        with self._lock:
            self._refresh()
            return sorted(self._contents)

    def has(self, video_id: str) -> bool:
        """Whether there is a complete video of that name."""
        named = video_id != "" and not video_id.startswith(".")
        return named and (self._path / video_id / METADATA_FILE).is_file()

    def announce(self, video: str) -> None:
        """Announce that a video is about to be added or removed. The caller holds its lease."""
        self._bucket.write(self._new(video), b"")

    def settle(self, video: str) -> None:
        """Remove a removed video from the index; the caller holds its lease.

        Added videos are moved into the index when there are many, with all others if there is no index yet.
        """
        if not self.has(video):
            if self._read():
                self._change(set(), {video})
            self._bucket.delete([self._new(video)])
        elif len(new := self._announced()) > MAX_NEW:
            self._move(new if self._read() else {*new, *self._folders()})

    def _refresh(self) -> None:
        new = self._announced()
        has_index = self._read()
        names = set(new if has_index else self._folders())
        known = {v: c for v, c in self._contents.items() if v in names and v not in self._indexed}
        found = self._read_contents(names - known.keys())
        self._contents = {v: c for v, c in self._indexed.items() if v not in names} | known | found
        if len(names) > MAX_NEW:
            with suppress(OutputError):  # a store that may only be read
                self._move(names)

    def _folders(self) -> dict[str, int]:
        folders, _ = self._bucket.list_folder(self._path.key)
        names = (key.rpartition("/")[2] for key in folders)
        return {name: 0 for name in names if not name.startswith(".")}

    def _announced(self) -> list[str]:
        folder = (self._path / FOLDER / NEW).key
        return [key.rpartition("/")[2] for key, _ in self._bucket.list_all(folder)]

    def _new(self, video: str) -> str:
        return (self._path / FOLDER / NEW / video).key

    def _read(self) -> bool:
        """Read the index if it has changed; whether there is one."""
        try:
            if self._facts is None or self._bucket.facts(self._key) != self._facts:
                data, self._facts = self._bucket.read_with_tag(self._key)
                self._indexed = dict(parse([line for line in data.split(b"\n") if line]))
        except FileNotFoundError:
            self._facts, self._indexed = None, {}
        return self._facts is not None

    def _read_contents(self, names: Iterable[str]) -> dict[str, Content]:
        """Contents of the complete ones of some videos."""
        names = sorted(names)
        with ThreadPoolExecutor(REQUESTS) as pool:
            contents = pool.map(lambda name: self._read_content(name, 0), names)
            return {name: content for name, content in zip(names, contents, strict=True) if content.inode}

    def _revision(self, path: Path) -> tuple[int, int]:
        return int((path / METADATA_FILE).is_file()), 0

    def _has_content(self, video: str, content: Content) -> bool:
        return True

    def _move(self, names: Iterable[str]) -> None:
        """Move announced videos that are complete into the index."""
        done = self._change(set(names), set())
        self._bucket.delete(map(self._new, done))

    def _change(self, add: set[str], remove: set[str]) -> set[str]:
        """Add complete videos to the index and remove others; returns the added ones."""
        for _ in range(MAX_TRIES):
            self._read()
            found = self._read_contents(add)
            data = encode({v: c for v, c in (self._indexed | found).items() if v not in remove})
            written = (
                self._bucket.create(self._key, data)
                if self._facts is None
                else self._bucket.replace(self._key, data, self._facts)
            )
            self._facts = None
            if written:
                return set(found)
        raise InputError(f"{self._path / FOLDER / FILE} keeps being changed", hint="run it again")
