"""Which videos a store has, and from which recordings they were made."""

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
    """What a video was made from: a recording, and which of its people."""

    stamp: tuple[int, int] | None
    sha256: str
    person: str | None
    name: str


class Index:
    """Names and contents of a store's videos; what others add is seen, and each is read only once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, _Content] = {}

    def ids(self) -> list[str]:
        """Names of all videos, sorted, damaged ones too: it is reading them that says so."""
        return sorted(name for name in os.listdir(self._path) if self.has(name))

    def has(self, video_id: str) -> bool:
        """Whether there is a video of that name."""
        folder = self._path / video_id
        whole = (folder / METADATA_FILE).is_file() or (folder / "time").is_dir()
        return whole and not video_id.startswith(".") and video_id != ""

    def of_content(self, sha256: str) -> list[str]:
        """The videos made from a recording, sorted."""
        self._refresh()
        return sorted(v for v, c in self._known.items() if c.sha256 == sha256 and self._is_still(v, c))

    def of_person(self, sha256: str, person: str) -> str | None:
        """The video of one of a recording's people, None where there is none."""
        return next((v for v in self.of_content(sha256) if self._known[v].person == person), None)

    def of_name(self, name: str) -> str:
        """The video whose recording, with what tells its person, is called `name`; else the id it would have.

        Names that are made safe may become alike: "clip 1" and "clip_1".
        """
        stem, count = schema.safe_id(name), 1
        candidate = stem
        while self.has(candidate):
            if self._look(candidate).name == unicodedata.normalize("NFC", name):
                return candidate
            count += 1
            candidate = f"{stem}-{count}"
        return stem

    def _refresh(self) -> None:
        names = set(os.listdir(self._path))
        for gone in self._known.keys() - names:
            del self._known[gone]
        for name in names - self._known.keys():
            if self.has(name):
                self._known[name] = self._look(name)

    def _is_still(self, video: str, content: _Content) -> bool:
        if commit.stamp(self._path / video) != content.stamp:
            self._known[video] = self._look(video)
        return self._known[video].sha256 == content.sha256

    def _look(self, video: str) -> _Content:
        view = VideoView(self._path / video)
        stamp = commit.stamp(view.path)
        try:
            person, stem = _person(view), Path(str(view.source.get("name", ""))).stem
            name = unicodedata.normalize("NFC", f"{stem}{person or ''}")
            return _Content(stamp, str(view.source.get("sha256", "")), person, name)
        except StoreError:  # what it was made from is not known any more
            return _Content(stamp, "", None, "")


def _person(view: VideoView) -> str | None:
    """What an entry's name has after its recording's; None where it was named otherwise."""
    if "person" in view.attrs:
        return str(view.attrs["person"])
    stem = schema.safe_id(Path(str(view.source.get("name", ""))).stem)
    rest = re.sub(r"-\d+$", "", view.id.removeprefix(stem))
    return rest if view.id.startswith(stem) else None
