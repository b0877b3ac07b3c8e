"""Read-only views of the videos of a store."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from vacli.errors import StoreError
from vacli.features.flags import MISSING
from vacli.files.object_path import ObjectPath
from vacli.files.store_folder import METADATA_FILE
from vacli.store import commit, locks, schema, seal
from vacli.store.array import StoredArray, group_nearby
from vacli.store.migration import present_attributes, stored_name
from vacli.store.object_array import array_at
from vacli.store.relative_paths import absolute_attributes

CROPS_PER_READ = 64
FRESH_S = 1.0  # for which a part in an object store is taken to be unchanged
EDITION = "edition"  # attribute with the same value for a feature and its flags


class VideoView:
    """One video of a store; arrays are read on demand.

    Every method that reads raises StoreError, with the path and a hint, if a part is absent or damaged, or if
    another process has replaced a part that this view has read from.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = path.name
        self._folder = path if isinstance(path, ObjectPath) else f"{path}"
        self._checked_s: dict[str, float] = {}  # when a part in an object store was compared last
        self._arrays: dict[str, StoredArray] = {}
        self._revisions: dict[str, commit.Revision | None] = {}
        self._matched_features: set[str] = set()

    def __reduce__(self) -> tuple[type[VideoView], tuple[Path]]:
        return VideoView, (self.path,)  # another process reads again

    @cached_property
    def attrs(self) -> dict[str, Any]:
        """Attributes of the video: `source` (name, path, size_bytes, sha256) and `stream`."""
        return self._attributes("")

    @property
    def source(self) -> dict[str, Any]:
        """The file behind the video: name, path (absolute), size_bytes, sha256."""
        return self.attrs.get("source", {})

    @cached_property
    def times_s(self) -> np.ndarray:
        """(N,) float64 seconds, one per frame of the container."""
        self._attributes("")  # a video with damaged metadata is not read
        times_s = self.read("time")
        schema.check_times(self.path, times_s, schema.how_to_remake("time", self.path))
        return times_s

    def has(self, part: str) -> bool:
        """Whether a part ("face", "feature/vggish", "label") or array exists.

        Raises StoreError if its metadata is lost.
        """
        if self._exists(part):
            return True
        with self._no_changes():
            if self._exists(part):
                return True
            if not self._is_remote and (self.path / part).is_dir():
                raise self._damage_error(part, f"has no {METADATA_FILE}")
        parent = part.rpartition("/")[0]
        if parent and self._exists(parent):
            self._meta(parent)  # raises StoreError if the part is a lost member
        return False

    def feature_names(self) -> list[str]:
        """Names of the stored features, sorted."""
        folder = self.path / "feature"
        if self._is_remote:
            return sorted(p.name for p in folder.iterdir() if self._exists(f"feature/{p.name}"))
        return sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []

    def part_attrs(self, part: str) -> dict[str, Any]:
        """Attributes of a part, such as the settings that it was made with."""
        self._require(part)
        return self._attributes(part)

    def read(self, array: str, rows: slice = slice(None)) -> np.ndarray:
        """Rows of an array such as "face/box"."""
        with self._refuse_replaced(array):
            return self._array(array).read(rows)

    def array(self, name: str) -> StoredArray:
        """The array itself: shape, dtype and names of the axes."""
        return self._array(name)

    def check(self, array: str) -> None:
        """Check an array without reading it, to find damage before a long job."""
        self._array(array).check()

    def read_into(self, array: str, start: int, out: np.ndarray) -> None:
        """Copy rows start, start + 1, ... of a float table such as "feature/vggish" into (n, D) `out`."""
        with self._refuse_replaced(array):
            self._array(array).read_into(start, out)

    def feature(self, name: str, rows: slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """A feature's (n, D) values and (n,) uint8 flags."""
        return self.read(f"feature/{name}", rows), self.read(f"flag/{name}", rows)

    def labels(self) -> np.ndarray:
        """(N, 2) float32 valence and arousal, NaN where not annotated."""
        columns = [self.read("label/valence"), self.read("label/arousal")]
        return np.stack(columns, axis=1).astype(np.float32, copy=False)

    def has_crops(self) -> bool:
        """Whether aligned faces are stored."""
        return self.has("face/crop")

    def crop(self, index: int) -> np.ndarray | None:
        """The aligned face of one frame, (224, 224, 3) uint8 RGB, or None."""
        return next(self.crops([index]))

    def crop_bytes(self, indices: Sequence[int]) -> Iterator[bytes | None]:
        """The JPEG bytes of the aligned faces of some frames, None for a frame without a face."""
        starts, sizes = self._crop_index
        for first in range(0, len(indices), CROPS_PER_READ):
            rows = np.asarray(indices[first : first + CROPS_PER_READ])
            for group in group_nearby(rows, starts, sizes):
                low = int(starts[group].min())
                block = self.read("face/crop", slice(low, int((starts[group] + sizes[group]).max())))
                for start, size in zip(starts[group] - low, sizes[group], strict=True):
                    yield block[start : start + size].tobytes() if size else None

    def crops(self, indices: Sequence[int]) -> Iterator[np.ndarray | None]:
        """The aligned faces of some frames, (224, 224, 3) uint8 RGB, or None."""
        from PIL import Image

        for data in self.crop_bytes(indices):
            try:
                yield None if data is None else np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
            except (OSError, ValueError, SyntaxError) as error:
                raise self._damage_error("face/crop", f"does not decode: {error}") from None

    def is_current(self) -> bool:
        """Whether no part that was read through this view has been replaced since."""
        return all(commit.revision(self.path / part) == seen for part, seen in self._revisions.items())

    @cached_property
    def _crop_index(self) -> tuple[np.ndarray, np.ndarray]:
        starts, sizes = self.read("face/crop_start"), self.read("face/crop_size")
        if len(starts) and (min(starts.min(), sizes.min()) < 0 or (starts + sizes).max() > self._crop_end):
            raise self._damage_error("face/crop", "does not match face/crop_start and face/crop_size")
        return starts, sizes

    @property
    def _crop_end(self) -> int:
        return self._array("face/crop").shape[0]

    def _array(self, name: str) -> StoredArray:
        if name not in self._arrays:
            self._require(name)
            part = schema.part_of(name)
            self._revisions.setdefault(part, commit.revision(self.path / part))
            array = array_at(self.path / self._stored(name), schema.how_to_remake(name, self.path))
            self._check(name, array)
            self._arrays[name] = array
        return self._arrays[name]

    def _check(self, name: str, array: StoredArray) -> None:
        kinds = schema.dtype_kinds(name)
        if array.dtype.kind not in kinds:
            raise self._damage_error(name, f"holds {array.dtype}")
        if name == "time":
            if len(array.shape) != 1 or (not array.has_checksums and array.absent_rows()):
                raise self._damage_error(name, "has lost chunks or has more than one axis")
            return
        if array.is_per_frame and array.shape[0] != len(self.times_s):
            raise self._damage_error(name, f"has {array.shape[0]} rows, the video {len(self.times_s)} frames")
        kind, _, feature = name.partition("/")
        if kind in ("feature", "flag"):
            self._check_pair(feature, array)

    def _check_pair(self, feature: str, array: StoredArray) -> None:
        """Check that a feature and its flags are of one edition, and that absent chunks are flagged."""
        if feature in self._matched_features:
            return
        for kind in ("feature", "flag"):
            part = f"{kind}/{feature}"
            self._require(part)
            self._revisions.setdefault(part, commit.revision(self.path / part))
        editions = {self._attributes(f"{kind}/{feature}").get(EDITION) for kind in ("feature", "flag")}
        if len(editions - {None}) > 1:
            raise self._damage_error(f"feature/{feature}", "does not match its flags")
        self._matched_features.add(feature)
        if not array.has_checksums:
            self._check_absent(feature)

    def _check_absent(self, feature: str) -> None:
        absent = self._array(f"feature/{feature}").absent_rows()
        flags = self.read(f"flag/{feature}") if absent else np.zeros(0, np.uint8)
        if any((flags[rows] & MISSING == 0).any() for rows in absent):
            self._matched_features.discard(feature)
            raise self._damage_error(f"feature/{feature}", "has lost chunks")

    @contextmanager
    def _refuse_replaced(self, array: str) -> Iterator[None]:
        """Raise StoreError if another process replaced the part during the read."""
        try:
            yield
        except StoreError as error:
            with self._no_changes():  # a writer may have renamed a feature and not yet its flags
                current = self.is_current()
            if current:
                raise
            raise self._replaced(array) from error
        part = schema.part_of(array)
        if self._is_replaced(part):
            raise self._replaced(array)

    def _is_replaced(self, part: str) -> bool:
        """Whether a part was replaced; in an object store, as of `FRESH_S` ago at most."""
        if isinstance(self._folder, str):
            return commit.revision(f"{self._folder}/{part}") != self._revisions[part]
        now_s = time.monotonic()
        if now_s - self._checked_s.get(part, -FRESH_S) < FRESH_S:
            return False
        self._checked_s[part] = now_s
        return commit.revision(self._folder / part) != self._revisions[part]

    def _replaced(self, array: str) -> StoreError:
        path = self.path / schema.part_of(array)
        return StoreError(f"{path} was replaced by another process while it was read", hint="run it again")

    def _attributes(self, part: str) -> dict[str, object]:
        stored = seal.user_attributes(self._meta(part).get("attributes", {}))
        return absolute_attributes(present_attributes(stored), self.path.parent)

    def _meta(self, part: str) -> seal.Meta:
        try:
            return self._checked_meta(part)
        except StoreError:
            with self._no_changes():  # another process may have replaced the part in between
                return self._checked_meta(part)

    def _checked_meta(self, part: str) -> seal.Meta:
        try:
            meta = seal.read(self.path / self._stored(part))
            problem = self._misplaced(part, meta)
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise self._damage_error(part, f"cannot be read: {error}") from None
        if problem:
            raise self._damage_error(part, problem)
        return meta

    def _misplaced(self, part: str, meta: seal.Meta) -> str | None:
        """Why metadata cannot belong to a part: members are absent, or it has another name or width."""
        attributes = meta.get("attributes", {})
        members = attributes.get(seal.MEMBERS, ())
        absent = [name for name in members if not (self.path / part / name / METADATA_FILE).is_file()]
        if absent:
            return f"has no {', '.join(absent)}, which its {METADATA_FILE} lists"
        kind, _, name = part.partition("/")
        fits = meta.get("node_type") == ("array" if name else "group")
        if fits and kind == "feature" and name:
            fits = (attributes.get("name"), attributes.get("dim")) == (name, meta["shape"][-1])
        return None if fits else f"has the {METADATA_FILE} of another part"

    def _no_changes(self) -> AbstractContextManager[None]:
        """Hold the lock of the store, so that no process replaces a part."""
        return locks.locked(self.path.parent / METADATA_FILE, shared=True)

    @property
    def _is_remote(self) -> bool:
        return not isinstance(self._folder, str)

    def _exists(self, part: str) -> bool:
        whole = schema.part_of(part)
        if self._is_remote and whole != part and not self._exists(whole):
            return False  # its other arrays are incomplete
        return (self.path / self._stored(part) / METADATA_FILE).is_file()

    def _stored(self, part: str) -> str:
        return stored_name(self.path, part)

    def _require(self, part: str) -> None:
        if not self.has(part):
            raise StoreError(f"{self.path} has no {part}", hint=schema.how_to_make(part))

    def _damage_error(self, part: str, reason: str) -> StoreError:
        return StoreError(f"{self.path / part} {reason}", hint=schema.how_to_remake(part, self.path))
