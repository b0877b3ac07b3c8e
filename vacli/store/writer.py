"""Writing into a store: parts are written into a work folder and put in place when complete (`backend`)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from vacli.errors import StoreError
from vacli.files.disk_space import report_write_errors
from vacli.files.object_path import to_path
from vacli.store import schema, seal
from vacli.store.backend import backend_of, create
from vacli.store.creation import NEW
from vacli.store.part import PartWriter, write_array
from vacli.store.reader import EDITION, VideoView
from vacli.store.relative_paths import relative_attributes

JsonDict = Mapping[str, object]


class Store:
    """A feature store in a local folder or an object store, such as s3://bucket/feats.zarr.

    Several processes may write it at once, even the same videos.

    A write is atomic: a process that is killed leaves the old part or the new one, and the next process that
    opens the store removes its leftovers. A video is added once: a copy of its recording, or another path to
    it, is the same video. Writing raises OutputError if the disk is full or may not be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._backend = backend_of(path)
        self._index = self._backend.index

    @classmethod
    def open(cls, path: Path | str) -> Store:
        """Open an existing store. Raises StoreError if `path` is not a store that this version reads."""
        path = to_path(path)
        schema.check_root(path)
        store = cls(path)
        store._backend.recover()
        return store

    @classmethod
    def open_or_create(cls, path: Path | str) -> Store:
        """Open a store; create an empty one if `path` does not exist or is an empty folder."""
        path = to_path(path)
        with report_write_errors(path):
            while schema.can_create(path):
                create(path)
        return cls.open(path)

    def video_ids(self) -> list[str]:
        """Names of all videos, sorted."""
        return self._index.ids()

    def __contains__(self, video_id: str) -> bool:
        return self._index.has(video_id)

    def video(self, video_id: str) -> VideoView:
        """A read-only view of one video. Raises StoreError if it does not exist."""
        if video_id not in self:
            raise StoreError(f"store {self.path} has no video {video_id!r}")
        return VideoView(self.path / video_id)

    def videos(self) -> list[VideoView]:
        """Views of all videos, in order of their names."""
        return [VideoView(self.path / video_id) for video_id in self.video_ids()]

    def refresh_index(self) -> None:
        """Write the videos that are new or changed to the index file of a large store."""
        self._index.refresh()

    def find_by_sha256(self, sha256: str) -> list[str]:
        """Ids of the videos of one recording, sorted: one per person."""
        return self._index.find_recording(sha256)

    def find_by_name(self, name: str) -> list[str]:
        """Ids of the videos whose recordings are called `name`, with or without the file's suffix, sorted."""
        return self._index.find_name(name)

    def id_for(self, name: str, sha256: str, person: str = "", *, reuse: bool = True) -> str:
        """The id of a recording in this store: the stem of its name, made safe and unique.

        person: a suffix for one of several people in a recording, as Aff-Wild2's `_left` and `_right`. reuse:
        return the id of a stored recording with the same content, whatever its name.
        """
        known = self._index.find_person(sha256, person) if reuse else None
        if known is not None:
            return known
        stem = schema.safe_id(Path(name).stem + person)
        candidate, count = stem, 1
        while candidate in self and self.video(candidate).source.get("sha256") != sha256:
            count += 1
            candidate = f"{stem}-{count}"
        return candidate

    def add_recording(
        self,
        name: str,
        times_s: np.ndarray,
        *,
        source: JsonDict,
        stream: JsonDict,
        person: str = "",
        reuse: bool = True,
    ) -> VideoView:
        """Add a video under the id that `id_for` gives; see `add_video`."""
        schema.check_times(self.path / name, times_s)
        with self._backend.locked(schema.safe_id(Path(name).stem + person)):
            video_id = self.id_for(name, str(source["sha256"]), person, reuse=reuse)
            self._add(video_id, times_s, {"source": source, "stream": stream, "person": person})
        return self._checked_view(video_id, times_s, source)

    def add_video(
        self, video_id: str, times_s: np.ndarray, *, source: JsonDict, stream: JsonDict
    ) -> VideoView:
        """Add a video with its frame times, or return the existing one with the same times.

        times_s: (N,) float64 seconds, ascending. Raises StoreError if another recording has the id.
        """
        schema.check_times(self.path / video_id, times_s)
        with self._backend.locked(video_id):
            self._add(video_id, times_s, {"source": source, "stream": stream})
        return self._checked_view(video_id, times_s, source)

    def _add(self, video_id: str, times_s: np.ndarray, attributes: JsonDict) -> None:
        if video_id in self:
            return
        with self._backend.place() as place, self._report_errors(video_id):
            group = schema.create_group(place / NEW, relative_attributes(_plain(attributes), self.path))
            write_array(
                group, schema.TIME, np.asarray(times_s, np.float64), (schema.TIME,), schema.TIME_ATTRIBUTES
            )
            seal.seal(place / NEW)
            with self._backend.locked(video_id):
                self._backend.apply_changes(place, [(video_id, NEW)])

    def _checked_view(self, video_id: str, times_s: np.ndarray, source: JsonDict) -> VideoView:
        """The stored video. Raises StoreError if it has another recording or other times."""
        view = self.video(video_id)
        if view.source.get("sha256") != source.get("sha256"):
            raise StoreError(f"{view.path} belongs to another recording", hint="write to a new store")
        if not np.array_equal(view.times_s, times_s):
            raise StoreError(
                f"{view.path} has {len(view.times_s)} frames at other times than the {len(times_s)} given",
                hint="remove that video's folder from the store, or write to a new store",
            )
        return view

    @contextmanager
    def stage(
        self,
        video_id: str,
        part: str,
        attributes: JsonDict,
        *,
        drop_features: Sequence[str] = (),
        is_needed: Callable[[], bool] = lambda: True,
    ) -> Iterator[PartWriter]:
        """Write the arrays of one part ("face", "label") row by row; it replaces the old part at the end.

        drop_features: features to remove in the same step, since they depend on the old part.
        is_needed: as in `put_feature`.
        """
        view = self.video(video_id)
        with self._backend.place() as place:
            with self._report_errors(f"{video_id}/{part}"):
                writer = PartWriter(schema.create_group(place / NEW, dict(attributes)), view.path / part)
            yield writer
            writer.close()
            gone = [
                (f"{video_id}/{kind}/{name}", None) for name in drop_features for kind in ("feature", "flag")
            ]
            with self._report_errors(f"{video_id}/{part}"):
                seal.seal(place / NEW)
                with self._backend.locked(video_id):
                    if is_needed():
                        self._backend.apply_changes(place, [*gone, (f"{video_id}/{part}", NEW)])

    def put_feature(
        self,
        video_id: str,
        spec: JsonDict,
        values: np.ndarray,
        flags: np.ndarray,
        *,
        made_from: VideoView | None = None,
        is_needed: Callable[[], bool] = lambda: True,
    ) -> None:
        """Store a feature with its per-row flags, replacing one of the same name.

        spec: FeatureSpec.attributes(). values: (N, D) floats, NaN where missing. flags: (N,) uint8.
        made_from: the view that the feature was computed from. is_needed: called under the lock of the video,
        where another process may have stored the feature meanwhile; nothing is written if it is False. Raises
        StoreError if arrays of `made_from` have been replaced since, or if `values` or `flags` has another
        number of rows than the video.
        """
        view, name = self.video(video_id), str(spec["name"])
        frames = len(view.times_s)
        if values.shape != (frames, spec["dim"]) or flags.shape != (frames,):
            raise StoreError(
                f"{view.path}: {name} has rows {values.shape} and flags {flags.shape}, "
                f"expected ({frames}, {spec['dim']})"
            )
        edition = {EDITION: uuid.uuid4().hex}
        with self._backend.place() as place, self._report_errors(f"{video_id}/feature/{name}", values.nbytes):
            group = schema.create_group(place / NEW, {})
            write_array(group, "flag", flags.astype(np.uint8), (schema.TIME,), edition)
            write_array(
                group,
                "feature",
                values,
                (schema.TIME, f"{name}_dim"),
                {**relative_attributes(spec, self.path), **edition},
            )
            seal.seal(place / NEW)
            with self._backend.locked(video_id):
                if made_from is not None and not made_from.is_current():
                    raise StoreError(f"{view.path} was changed by another process", hint="run it again")
                if not is_needed():
                    return
                for kind in ("flag", "feature"):
                    self._backend.ensure_group(f"{video_id}/{kind}", place)
                changes = [(f"{video_id}/{kind}/{name}", f"{NEW}/{kind}") for kind in ("flag", "feature")]
                self._backend.apply_changes(place, changes)

    def drop_feature(self, video_id: str, name: str) -> None:
        """Remove a feature and its flags."""
        self._drop(video_id, *(f"{video_id}/{kind}/{name}" for kind in ("feature", "flag")))

    def drop_video(self, video_id: str) -> None:
        """Remove a video with all its parts."""
        self._drop(video_id, video_id)

    @contextmanager
    def rewrite(self, video_id: str, is_unchanged: Callable[[], bool]) -> Iterator[Path]:
        """Make a whole video in a new folder, which replaces the old one at the end.

        Raises StoreError if `is_unchanged`, which is called under the lock of the store, returns False.
        """
        with self._backend.place() as place, self._report_errors(video_id):
            yield place / NEW
            with self._backend.locked(video_id):
                if not is_unchanged():
                    raise StoreError(
                        f"{self.path / video_id} was changed by another process", hint="run it again"
                    )
                self._backend.apply_changes(place, [(video_id, NEW)])

    def _drop(self, video_id: str, *targets: str) -> None:
        with (
            self._backend.place() as place,
            self._report_errors(targets[0]),
            self._backend.locked(video_id),
        ):
            self._backend.apply_changes(place, [(target, None) for target in targets])

    @contextmanager
    def _report_errors(self, target: str, need_bytes: int | None = None) -> Iterator[None]:
        """Turn the errors of a failed write into OutputError or StoreError."""
        path = self.path / target
        try:
            with report_write_errors(path, need_bytes):
                yield
        except OSError as error:
            raise StoreError(
                f"{path} cannot be written: {error.strerror or error}", hint="run it again"
            ) from error


def _plain(attributes: JsonDict) -> dict[str, object]:
    return {k: dict(v) if isinstance(v, Mapping) else v for k, v in attributes.items()}
