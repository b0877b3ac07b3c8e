"""Writing into a store: parts are staged beside it and renamed into place when whole."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from vacli.errors import StoreError
from vacli.store import schema
from vacli.store.part import PartWriter, write_array
from vacli.store.reader import VideoView

JsonDict = Mapping[str, Any]
TRIES = 100  # at what others may do or undo at the same moment
TAKEN = {errno.EEXIST, errno.ENOTEMPTY}  # a folder of that name has come meanwhile


class Store:
    """A feature store on disk. Several processes may write different videos at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._work = path.parent / f".{path.name}.work"

    @classmethod
    def open(cls, path: Path | str) -> Store:
        """Open an existing store; raises StoreError where there is none of this version."""
        path = Path(path)
        schema.check_root(path)
        store = cls(path)
        store._sweep()
        return store

    @classmethod
    def open_or_create(cls, path: Path | str) -> Store:
        """Open a store, making an empty one where nothing is."""
        path = Path(path)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            store = cls(path)
            with store._staging("root") as stage:
                schema.create_group(stage, schema.root_attributes())  # type: ignore[arg-type]
                with suppress(OSError):  # another process made it first
                    stage.rename(path)
        return cls.open(path)

    def video_ids(self) -> list[str]:
        """Names of all videos, sorted."""
        return sorted(p.name for p in self.path.iterdir() if (p / "zarr.json").is_file())

    def __contains__(self, video_id: str) -> bool:
        return (self.path / video_id / "zarr.json").is_file()

    def video(self, video_id: str) -> VideoView:
        """A read-only view of one video; raises StoreError where there is none."""
        if video_id not in self:
            raise StoreError(f"store {self.path} has no video {video_id!r}")
        return VideoView(self.path / video_id)

    def videos(self) -> list[VideoView]:
        """Views of all videos, in order of their names."""
        return [VideoView(self.path / video_id) for video_id in self.video_ids()]

    def id_for(self, name: str, sha256: str, person: str = "") -> str:
        """The id under which a source is or would be stored: its stem, made safe and unique.

        `person` tells several entries of one source apart, as in Aff-Wild2's `_left` and `_right`.
        """
        stem = schema.safe_id(Path(name).stem + person)
        candidate, count = stem, 1
        while candidate in self and self.video(candidate).source.get("sha256") != sha256:
            count += 1
            candidate = f"{stem}-{count}"
        return candidate

    def add_video(
        self, video_id: str, times_s: np.ndarray, *, source: JsonDict, stream: JsonDict
    ) -> VideoView:
        """Add a video with its frame times, or return the one that is there with the same times.

        times_s: (N,) float64 seconds, ascending. Raises StoreError where another recording has the name.
        """
        target = self.path / video_id
        with self._staging(video_id) as stage:
            if video_id not in self:
                group = schema.create_group(stage, {"source": dict(source), "stream": dict(stream)})
                write_array(group, "time", np.asarray(times_s, np.float64), ("frame",), {"units": "s"})
                with suppress(OSError):  # another process added it first
                    stage.rename(target)
        view = VideoView(target)
        if not np.array_equal(view.times_s, times_s):
            raise StoreError(
                f"{target} has {len(view.times_s)} frames at other times than the {len(times_s)} given",
                hint="remove that video's folder from the store, or write to a new store",
            )
        return view

    @contextmanager
    def stage(self, video_id: str, part: str, attributes: JsonDict) -> Iterator[PartWriter]:
        """Write the arrays of one part ("face", "label") row by row; whole at the end or not at all."""
        view = self.video(video_id)
        with self._staging(f"{video_id}--{part}") as stage:
            writer = PartWriter(schema.create_group(stage, dict(attributes)))
            yield writer
            writer.close()
            self._place(stage, view.path / part)

    def put_feature(self, video_id: str, spec: JsonDict, values: np.ndarray, flags: np.ndarray) -> None:
        """Store a feature with its per-row flags, replacing one of the same name.

        spec: FeatureSpec.attributes(). values: (N, D) floats, NaN where missing. flags: (N,) uint8.
        """
        view, name = self.video(video_id), str(spec["name"])
        frames = len(view.times_s)
        if values.shape != (frames, spec["dim"]) or flags.shape != (frames,):
            raise StoreError(
                f"{view.path}: {name} has rows {values.shape} and flags {flags.shape}, "
                f"the video wants ({frames}, {spec['dim']})"
            )
        with self._staging(f"{video_id}--{name}") as stage:
            group = schema.create_group(stage, {})
            write_array(group, "flag", flags.astype(np.uint8), ("frame",), {})
            write_array(group, "feature", values, ("frame", f"{name}_dim"), spec)
            for kind in ("flag", "feature"):  # the feature last: it says that both are there
                self._ensure_group(view.path / kind)
                self._place(stage / kind, view.path / kind / name)

    def drop_feature(self, video_id: str, name: str) -> None:
        """Remove a feature and its flags, as when the faces that it describes have been replaced."""
        with self._staging(f"{video_id}--{name}--dropped") as aside:
            for kind in ("feature", "flag"):
                (self.path / video_id / kind / name).rename(aside / kind)

    def drop_video(self, video_id: str) -> None:
        """Remove a video with all that is known of it."""
        with self._staging(f"{video_id}--dropped") as aside:
            (self.path / video_id).rename(aside / "video")

    def _ensure_group(self, path: Path) -> None:
        if not (path / "zarr.json").exists():
            with self._staging(path.name) as stage:
                schema.create_group(stage, {})
                path.mkdir(exist_ok=True)
                os.replace(stage / "zarr.json", path / "zarr.json")

    def _place(self, stage: Path, target: Path) -> None:
        """Give a whole part its final name; what had that name before goes only then.

        Whoever places the same part at the same time may be a moment earlier, so it may take a few tries.
        """
        for _ in range(TRIES):
            old = self._work / f"{self._owner()}--{uuid.uuid4().hex}"
            with suppress(FileNotFoundError):
                target.rename(old)
            try:
                stage.rename(target)
                return
            except OSError as error:
                if error.errno not in TAKEN:
                    with suppress(OSError):  # nothing came in its place
                        old.rename(target)
                    raise
            finally:
                shutil.rmtree(old, ignore_errors=True)
        raise StoreError(f"{target} is being written by others", hint="run it again when they have finished")

    @contextmanager
    def _staging(self, title: str) -> Iterator[Path]:
        stage = self._work / f"{self._owner()}--{title.replace('/', '-')}--{uuid.uuid4().hex[:8]}"
        self._make_place(stage)
        try:
            yield stage
        finally:
            shutil.rmtree(stage, ignore_errors=True)
            with suppress(OSError):  # others are still at work in there
                self._work.rmdir()

    def _make_place(self, stage: Path) -> None:
        """Make the stage's folder; whoever finishes removes the one around it, so it may take a few tries."""
        for _ in range(TRIES):
            with suppress(FileExistsError, FileNotFoundError):
                self._work.mkdir(parents=True, exist_ok=True)
                stage.mkdir()
            if stage.is_dir():
                return
        raise StoreError(
            f"{self._work} cannot be made", hint="choose a store in a folder that can be written to"
        )

    @staticmethod
    def _owner() -> str:
        return f"{socket.gethostname()}-{os.getpid()}"

    def _sweep(self) -> None:
        """Remove what a process of this machine left behind when it died."""
        host = socket.gethostname()
        for stage in self._work.glob(f"{host}-*") if self._work.is_dir() else ():
            pid = stage.name.split("--")[0].removeprefix(f"{host}-")
            if pid.isdigit() and not _alive(int(pid)):
                shutil.rmtree(stage, ignore_errors=True)
        with suppress(OSError):
            self._work.rmdir()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
