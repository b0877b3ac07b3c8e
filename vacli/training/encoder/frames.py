"""Single frames of labelled videos: their selection, and their images in batches."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from vacli.errors import LabelError, StoreError
from vacli.progress import Progress
from vacli.runtime.concurrency import parallel_map
from vacli.store import VideoView

AHEAD = 2  # batches that are decoded in the background
CACHE_BLOCK = 256


@dataclass(frozen=True, kw_only=True)
class FrameSampling:
    """Which frames of a video are used: those with a face (and a label).

    One in `stride` of these is used, evenly spaced where there are more than `max_per_video`.
    """

    stride: int = 1
    max_per_video: int | None = None
    labelled: bool = True


@dataclass(frozen=True, eq=False)
class FrameSource:
    """A video to sample frames of.

    labels: (N, 2), NaN where not annotated, or None without labels. rows: the only frames to use, ascending;
    None for all of them.
    """

    view: VideoView
    labels: np.ndarray | None = None
    rows: np.ndarray | None = None


@dataclass(frozen=True)
class Frames:
    """K frames of several videos. video, row: (K,) int64; target: (K, 2); votes: (K, E) or None."""

    views: tuple[VideoView, ...]
    video: np.ndarray
    row: np.ndarray
    target: np.ndarray
    votes: np.ndarray | None

    def __len__(self) -> int:
        return len(self.row)

    def digest(self) -> str:
        """SHA-256 of the videos, rows and targets, and of what identifies the sources and the faces.

        Faces are identified by the lengths of their JPEG images, which `va repack` keeps.
        """
        content = hashlib.sha256()
        for number, view in enumerate(self.views):
            rows = self.row[self.video == number]
            content.update(f"{view.id}\0{view.source.get('sha256')}\0{len(rows)}\0".encode())
            content.update(view.read("face/crop_size")[rows].astype(np.int64).tobytes())
        for part in (self.row, self.target, self.votes):
            if part is not None:
                content.update(np.ascontiguousarray(part).tobytes())
        return content.hexdigest()

    def crops(self, items: np.ndarray) -> np.ndarray:
        """Aligned faces of the frames `items`, (len(items), 224, 224, 3) uint8, in that order."""
        order = np.lexsort((self.row[items], self.video[items]))
        sorted_items = np.asarray(items)[order]
        found: list[np.ndarray] = []
        for video in np.unique(self.video[sorted_items]):
            rows = self.row[sorted_items[self.video[sorted_items] == video]]
            found.extend(c for c in self.views[video].crops(rows.tolist()) if c is not None)
        crops = np.empty((len(found), *found[0].shape), np.uint8)
        for place, crop in zip(order, found, strict=True):
            crops[place] = crop
        return crops


def sample(sources: Sequence[FrameSource], sampling: FrameSampling) -> Frames:
    """The selected frames of all videos; StoreError or LabelError where there are none."""
    parts = [_of_video(source, sampling) for source in sources]
    rows = [rows for rows, _, _ in parts]
    if not sum(map(len, rows)):
        required = "a face and a label" if sampling.labelled else "a face"
        raise LabelError(
            f"none of the {len(sources)} videos has a frame with {required}",
            hint="run `va align` and `va import-labels` first",
        )
    votes = [v for _, _, v in parts]
    return Frames(
        tuple(source.view for source in sources),
        np.repeat(np.arange(len(sources)), [len(r) for r in rows]),
        np.concatenate(rows),
        np.concatenate([t for _, t, _ in parts]),
        None if any(v is None for v in votes) else np.concatenate([v for v in votes if v is not None]),
    )


class Images:
    """Images of frames by number: decoded when they are read, or reduced once and kept in memory."""

    def __init__(self, frames: Frames, memory: np.ndarray | None = None) -> None:
        self.frames = frames
        self.memory = memory

    def __call__(self, items: np.ndarray) -> np.ndarray:
        """Pictures of items (N,), as in `Frames.crops`."""
        return self.frames.crops(items) if self.memory is None else self.memory[items]


def in_memory(
    frames: Frames, reduce: Callable[[np.ndarray], np.ndarray], workers: int, progress: Progress
) -> Images:
    """Every crop decoded and reduced once; `reduce` takes (k, 224, 224, 3) uint8 to smaller uint8."""
    blocks = [np.arange(s, min(s + CACHE_BLOCK, len(frames))) for s in range(0, len(frames), CACHE_BLOCK)]
    kept: list[np.ndarray] = []
    with (
        progress.task("reading faces", len(frames), "faces") as advance,
        ThreadPoolExecutor(workers) as pool,
    ):
        for part in pool.map(lambda block: reduce(frames.crops(block)), blocks):
            kept.append(part)
            advance(len(part))
    return Images(frames, np.concatenate(kept))


def prefetch_batches(
    images: Images, batches: Sequence[np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(items, images) of each batch, in order; the next batches are decoded in the background."""
    return parallel_map(lambda batch: (batch, images(batch)), batches, AHEAD, AHEAD)


def _of_video(
    source: FrameSource, sampling: FrameSampling
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    view = source.view
    if not view.has_crops():
        raise StoreError(f"{view.path} has no face crops", hint="run `va align` on its video first")
    usable = view.read("face/crop_size") > 0
    target = np.full((len(usable), 2), np.nan, np.float32)
    if sampling.labelled and source.labels is not None:
        target = source.labels
    if sampling.labelled:
        usable &= np.isfinite(target).all(1)
    if source.rows is not None:
        usable &= np.isin(np.arange(len(usable)), source.rows)
    rows = np.flatnonzero(usable)[:: sampling.stride]
    most = sampling.max_per_video
    if most is not None and len(rows) > most:
        rows = rows[np.linspace(0, len(rows) - 1, most).round().astype(int)]
    votes = None
    if sampling.labelled and view.has("label/votes"):
        votes = np.asarray(view.read("label/votes"), np.float32)[rows]
    return rows, target[rows], votes
