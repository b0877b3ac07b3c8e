"""Computed rows of features that are not complete: `STORE/.pieces/VIDEO/FEATURE/FINGERPRINT/FIRST-END`.

Several processes compute a feature of a long video in pieces. A piece is a file or an object that appears
whole, so that a later run computes only the missing ones. Readers of the store ignore the folder. Each file
has the rows as little-endian float32, followed by their CRC-32.
"""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vacli.errors import StoreError
from vacli.files.atomic import write_bytes
from vacli.files.disk_space import report_write_errors
from vacli.files.object_path import ObjectPath
from vacli.store import commit
from vacli.store.reader import VideoView

FOLDER = ".pieces"
CRC_BYTES = 4
ROWS = np.dtype("<f4")


@dataclass(frozen=True, order=True)
class Span:
    """Rows first, first + 1, ... end - 1 of those that are computed."""

    first: int
    end: int

    def __len__(self) -> int:
        return self.end - self.first

    def __str__(self) -> str:
        return f"{self.first}-{self.end}"


@dataclass(frozen=True)
class FeaturePieces:
    """The pieces of a feature of a video. fingerprint: of all that their values and their spans depend on."""

    store: Path
    video_id: str
    feature: str
    fingerprint: str
    dim: int

    def missing(self, spans: tuple[Span, ...]) -> tuple[Span, ...]:
        """The spans that are not computed yet."""
        sizes = dict(self._sizes())
        return tuple(span for span in spans if sizes.get(str(span)) != self._size_bytes(span))

    def write(self, span: Span, rows: np.ndarray) -> None:
        """Store the rows (len(span), dim) of a piece. Raises OutputError."""
        data = np.ascontiguousarray(rows, ROWS).tobytes()
        content = data + zlib.crc32(data).to_bytes(CRC_BYTES, "little")
        path = self._folder / str(span)
        if isinstance(path, ObjectPath):
            path.bucket.write(path.key, content)
            return
        with report_write_errors(path, len(content)):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content)

    def read(self, span: Span) -> np.ndarray:
        """The rows (len(span), dim) float32 of a piece. Raises StoreError if it is absent or damaged."""
        path = self._folder / str(span)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise StoreError(f"{path} was removed by another process", hint="run it again") from None
        data, crc = content[:-CRC_BYTES], content[-CRC_BYTES:]
        if len(content) != self._size_bytes(span) or zlib.crc32(data).to_bytes(CRC_BYTES, "little") != crc:
            self._discard(path)
            raise StoreError(f"{path} was damaged and is removed", hint="run it again")
        return np.frombuffer(data, ROWS).reshape(len(span), self.dim)

    def remove_others(self) -> None:
        """Remove the pieces of the feature that were made with other settings or from other faces."""
        with suppress(FileNotFoundError):  # there are none
            for path in self._folder.parent.iterdir():
                if path.name != self.fingerprint:
                    _remove_folder(path)

    def _sizes(self) -> Iterator[tuple[str, int]]:
        folder = self._folder
        if isinstance(folder, ObjectPath):
            for key, facts in folder.bucket.list_all(folder.key):
                yield key.rpartition("/")[2], facts.size_bytes
        elif folder.is_dir():
            for path in folder.iterdir():
                with suppress(FileNotFoundError):
                    yield path.name, path.stat().st_size

    def _discard(self, path: Path) -> None:
        if isinstance(path, ObjectPath):
            path.bucket.delete([path.key])
        else:
            with report_write_errors(path):
                path.unlink(missing_ok=True)

    def _size_bytes(self, span: Span) -> int:
        return len(span) * self.dim * ROWS.itemsize + CRC_BYTES

    @property
    def _folder(self) -> Path:
        return _feature_folder(self.store, self.video_id, self.feature) / self.fingerprint


def revision_of_faces(view: VideoView) -> str:
    """A text that changes when the faces of a video are replaced."""
    return str(commit.revision(view.path / "face"))


def remove_pieces(store: Path, video_id: str, feature: str) -> None:
    """Remove all pieces of a feature, which is complete."""
    folder = _feature_folder(store, video_id, feature)
    _remove_folder(folder)
    if not isinstance(folder, ObjectPath):
        for empty in (folder.parent, folder.parent.parent):
            with suppress(OSError):  # other features or videos have pieces, or there were none
                empty.rmdir()


def _feature_folder(store: Path, video_id: str, feature: str) -> Path:
    return store / FOLDER / video_id / feature


def _remove_folder(folder: Path) -> None:
    if isinstance(folder, ObjectPath):
        folder.bucket.delete(key for key, _ in folder.bucket.list_all(folder.key))
    else:
        shutil.rmtree(folder, ignore_errors=True)
