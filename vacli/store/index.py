"""The videos of a store and the recordings behind them."""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from vacli.errors import StoreError
from vacli.files.store_folder import METADATA_FILE
from vacli.store import commit, schema
from vacli.store.reader import VideoView


@dataclass(frozen=True)
class _Content:
    """The recording behind a video, the suffix of its person and its names; `revision` is the video's."""

    revision: tuple[int, int] | None
    sha256: str
    person: str | None
    names: frozenset[str]


class Index:
    """The videos of a store by name and by recording. Each is read once and again after a change."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._contents: dict[str, _Content] = {}

    def ids(self) -> list[str]:
        """Names of all videos, sorted, damaged ones included."""
        return sorted(name for name in os.listdir(self._path) if self.has(name))

    def has(self, video_id: str) -> bool:
        """Whether there is a video of that name."""
        folder = self._path / video_id
        whole = (folder / METADATA_FILE).is_file() or (folder / "time").is_dir()
        return whole and not video_id.startswith(".") and video_id != ""

    def find_recording(self, sha256: str) -> list[str]:
        """The videos of the recording with that SHA-256, sorted."""
        self._refresh()
        return sorted(v for v, c in self._contents.items() if c.sha256 == sha256 and self._has_content(v, c))

    def find_person(self, sha256: str, person: str) -> str | None:
        """The video of one person of a recording, or None."""
        return next((v for v in self.find_recording(sha256) if self._contents[v].person == person), None)

    def find_name(self, name: str) -> list[str]:
        """The videos whose recording and person suffix are called `name`, sorted.

        The file's suffix may be there or not. Names are equal where their NFC forms are: "clip 1" is not
        "clip_1", although both would get the same id.
        """
        self._refresh()
        wanted = unicodedata.normalize("NFC", name)
        return sorted(video for video, content in self._contents.items() if wanted in content.names)

    def _refresh(self) -> None:
        names = set(os.listdir(self._path))
        for gone in self._contents.keys() - names:
            del self._contents[gone]
        for name in names - self._contents.keys():
            if self.has(name):
                self._contents[name] = self._read_content(name)

    def _has_content(self, video: str, content: _Content) -> bool:
        if commit.revision(self._path / video) != content.revision:
            self._contents[video] = self._read_content(video)
        return self._contents[video].sha256 == content.sha256

    def _read_content(self, video: str) -> _Content:
        view = VideoView(self._path / video)
        revision = commit.revision(view.path)
        try:
            person = _person(view)
            return _Content(revision, str(view.source.get("sha256", "")), person, _names(view, person))
        except StoreError:  # a damaged video has no known recording
            return _Content(revision, "", None, frozenset())


def _names(view: VideoView, person: str | None) -> frozenset[str]:
    """The names of a video in NFC: its recording's with and without suffix, or else its id."""
    file = str(view.source.get("name", ""))
    if person is None or not file:
        return frozenset([view.id])
    may_be_folder = view.attrs.get("stream", {}).get("kind") == "crops"
    stem = schema.file_stem(file) if may_be_folder else Path(file).stem
    names = {stem + person} | (set() if person else {file})
    return frozenset(unicodedata.normalize("NFC", name) for name in names)


def _person(view: VideoView) -> str | None:
    """The suffix of a video's id after the name of its recording; None for another id."""
    if "person" in view.attrs:
        return str(view.attrs["person"])
    stem = schema.safe_id(Path(str(view.source.get("name", ""))).stem)
    rest = re.sub(r"-\d+$", "", view.id.removeprefix(stem))
    return rest if view.id.startswith(stem) else None
