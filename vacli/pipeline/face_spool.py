"""The faces of one recording until tracks are selected: numbers in memory, crops on disk."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import numpy as np

from vacli.errors import StoreError
from vacli.faces.face_frame import Face
from vacli.faces.selection import TrackSummary
from vacli.spec import VISUAL
from vacli.store import Store, VideoView

ROW = np.dtype(
    [
        ("index", "i8"),
        ("box", "f4", 4),
        ("landmarks", "f4", (5, 2)),
        ("score", "f4"),
        ("sharpness", "f4"),
        ("size", "f4"),
        ("start", "i8"),
        ("bytes", "i4"),
    ]
)
PACK = struct.Struct("=q17fqi").pack  # a ROW of plain numbers
COLUMNS = {  # name -> names of the axes after the first, unit
    "box": (("xyxy",), "px"),
    "landmarks": (("point", "xy"), "px"),
    "score": ((), ""),
    "sharpness": ((), ""),
    "size": ((), "px"),
}
BLOCK = 256  # crops in memory at once


class FaceSpool:
    """The faces of all tracks of one recording; a context manager."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._crops = self._open.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - closed by __exit__
        self._end = 0
        self._rows: dict[int, bytearray] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def add(self, index: int, faces: Iterable[tuple[Face, bytes]]) -> None:
        """Add the faces of frame `index`, each with its encoded crop, empty for none."""
        for face, crop in faces:
            place = (*face.box.tolist(), *face.landmarks.ravel().tolist())
            row = PACK(index, *place, face.score, face.sharpness, face.size_px, self._end, len(crop))
            self._rows.setdefault(face.track_id, bytearray()).extend(row)
            self._crops.write(crop)
            self._end += len(crop)

    def track_summaries(self, speaking_s: Mapping[int, float]) -> list[TrackSummary]:
        """The area and the position of each track. speaking_s: track -> for how many seconds it speaks."""
        return [_track_summary(track, self.rows(track), speaking_s.get(track, 0.0)) for track in self._rows]

    def rows(self, track: int) -> np.ndarray:
        """The faces of one track as ROW records, ascending; empty for an unknown track."""
        return np.frombuffer(self._rows.get(track, b""), ROW)

    def crops(self, rows: np.ndarray) -> Iterator[bytes]:
        """The encoded crops of some ROW records."""
        for row in rows:
            self._crops.seek(int(row["start"]))
            yield self._crops.read(int(row["bytes"]))


def write_track(
    store: Store,
    video: str,
    spool: FaceSpool,
    track: int,
    attributes: dict[str, Any],
    is_needed: Callable[[], bool],
) -> None:
    """Store the faces of one track as the part "face": a row a frame, NaN and track -1 without a face.

    is_needed: as in `Store.put_feature`.
    """
    rows = spool.rows(track)
    view = store.video(video)
    count = len(view.times_s)
    features = _visual_features(view)
    with store.stage(video, "face", attributes, drop_features=features, is_needed=is_needed) as writer:
        found = np.zeros(count, bool)
        found[rows["index"]] = True
        writer.append("detected", found)
        writer.append("track", np.where(found, track, -1).astype(np.int32))
        for name, (dims, units) in COLUMNS.items():
            values = np.full((count, *ROW[name].shape), np.nan, np.float32)
            values[rows["index"]] = rows[name]
            writer.append(name, values, dims=dims, units=units)
        if attributes["settings"]["crops"]:
            for images in _blocks(count, spool, rows):
                writer.append_images("crop", images)


def _visual_features(view: VideoView) -> list[str]:
    """The visual features of the faces that are replaced; a damaged feature counts as visual."""

    def is_visual(name: str) -> bool:
        try:
            return view.part_attrs(f"feature/{name}").get("modality") == VISUAL
        except StoreError:
            return True

    return [name for name in view.feature_names() if is_visual(name)]


def _blocks(count: int, spool: FaceSpool, rows: np.ndarray) -> Iterator[list[bytes | None]]:
    for start in range(0, count, BLOCK):
        images: list[bytes | None] = [None] * min(BLOCK, count - start)
        here = rows[(rows["index"] >= start) & (rows["index"] < start + BLOCK)]
        for index, crop in zip(here["index"], spool.crops(here), strict=True):
            images[index - start] = crop
        yield images


def _track_summary(track: int, rows: np.ndarray, speaking_s: float) -> TrackSummary:
    box = rows["box"].astype(np.float64)
    area = ((box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])).sum()
    return TrackSummary(track, float(area), float((box[:, 0] + box[:, 2]).mean() / 2), speaking_s)
