"""The videos of a store and the recordings behind them."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from threading import RLock
from typing import Any

from vacli.files.store_folder import METADATA_FILE
from vacli.store import commit, schema, seal
from vacli.store.index_file import SEPARATOR, Content, IndexFile
from vacli.store.migration import present_attributes

MIN_VIDEOS = 1000  # of a store with an index file; the videos of a smaller one are read in a moment
BLOCK = 1000  # videos that are read before they are appended to the file


class Index:
    """The videos of a store by name and by recording. Each is read once and again after a change.

    A store of many videos has an index file, which saves the reading. A line of it is used if the video's
    folder is the same, and for searches if its metadata is unchanged; other videos, which an earlier version
    or a person has added, are read and appended. Threads may share an index.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = IndexFile(path)
        self._contents: dict[str, Content] = {}
        self._unchecked: set[str] = set()  # contents of the file that were not compared with their video
        self._lock = RLock()

    def ids(self) -> list[str]:
        """Names of all videos, sorted, damaged ones included."""
        with self._lock:
            folders = self._folders()
            self._read_file()
            return sorted(v for v, inode in folders.items() if self._is_known(v, inode) or self.has(v))

    def has(self, video_id: str) -> bool:
        """Whether there is a video of that name."""
        folder = self._path / video_id
        whole = (folder / METADATA_FILE).is_file() or (folder / "time").is_dir()
        return whole and not video_id.startswith(".") and video_id != ""

    def refresh(self) -> None:
        """Read the videos that were added or changed, and write them to the index file."""
        with self._lock:
            self._refresh()

    def find_recording(self, sha256: str) -> list[str]:
        """The videos of the recording with that SHA-256, sorted."""
        with self._lock:
            self._refresh()
            same = [(v, c) for v, c in self._contents.items() if c.sha256 == sha256]
            return sorted(v for v, c in same if self._has_content(v, c))

    def find_person(self, sha256: str, person: str) -> str | None:
        """The video of one person of a recording, or None."""
        with self._lock:
            return next((v for v in self.find_recording(sha256) if self._contents[v].person == person), None)

    def find_name(self, name: str) -> list[str]:
        """The videos whose recording and person suffix are called `name`, sorted.

        The file's suffix may be there or not. Names are equal where their NFC forms are: "clip 1" is not
        "clip_1", although both would get the same id.
        """
        wanted = unicodedata.normalize("NFC", name)
        with self._lock:
            self._refresh()
            return sorted(
                video for video, content in self._contents.items() if wanted in content.names.split(SEPARATOR)
            )

    def _folders(self) -> dict[str, int]:
        """The inode of everything in the store that may be a video, by name."""
        with os.scandir(self._path) as entries:
            return {entry.name: entry.inode() for entry in entries if not entry.name.startswith(".")}

    def _is_known(self, name: str, inode: int) -> bool:
        content = self._contents.get(name)
        return content is not None and content.folder == inode and content.revision is not None

    def _read_file(self) -> None:
        new = self._file.read_new()
        self._contents.update(new)
        self._unchecked.update(new)

    def _refresh(self) -> None:
        folders = self._folders()
        self._read_file()
        for name in self._unchecked & folders.keys():
            if commit.revision(f"{self._path}/{name}") != self._contents[name].revision:
                del self._contents[name]
        self._unchecked.clear()
        for gone in self._contents.keys() - folders.keys():
            del self._contents[gone]
        unknown = [name for name, inode in folders.items() if not self._is_known(name, inode)]
        for first in range(0, len(unknown), BLOCK):
            names = filter(self.has, unknown[first : first + BLOCK])
            new = {name: self._read_content(name, folders[name]) for name in names}
            self._contents.update(new)
            if new and len(folders) >= MIN_VIDEOS:
                self._file.append(new)
        self._file.compact(self._contents)

    def _has_content(self, video: str, content: Content) -> bool:
        if commit.revision(self._path / video) != content.revision:
            self._contents[video] = self._read_content(video, content.folder)
        return self._contents[video].sha256 == content.sha256

    def _read_content(self, video: str, folder: int) -> Content:
        path = self._path / video
        revision = self._revision(path)
        try:
            # Without a view, which waits for the lock of the store: the caller may hold it.
            stored = seal.user_attributes(seal.read(path)["attributes"])
            attributes = present_attributes(stored)
            person = _person(video, attributes)
            sha256 = str(attributes["source"].get("sha256", ""))
            names = SEPARATOR.join(sorted(_names(video, person, attributes)))
            return Content(folder, *revision, sha256, person, names)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return Content(folder, *revision)  # damaged: no known recording

    def _revision(self, path: Path) -> tuple[int, int]:
        inode, mtime_ns = commit.revision(path) or (0, 0)
        return int(inode), int(mtime_ns)


def _names(video: str, person: str | None, attributes: Mapping[str, Any]) -> frozenset[str]:
    """The names of a video in NFC: its recording's with and without suffix, or else its id."""
    file = str(attributes["source"].get("name", ""))
    if person is None or not file:
        return frozenset([video])
    may_be_folder = attributes.get("stream", {}).get("kind") == "crops"
    stem = schema.file_stem(file) if may_be_folder else Path(file).stem
    names = {stem + person} | (set() if person else {file})
    return frozenset(unicodedata.normalize("NFC", name) for name in names)


def _person(video: str, attributes: Mapping[str, Any]) -> str | None:
    """The suffix of a video's id after the name of its recording; None for another id."""
    if "person" in attributes:
        return str(attributes["person"])
    stem = schema.safe_id(Path(str(attributes["source"].get("name", ""))).stem)
    rest = re.sub(r"-\d+$", "", video.removeprefix(stem))
    return rest if video.startswith(stem) else None
