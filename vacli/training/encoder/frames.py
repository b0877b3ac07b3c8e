"""Single frames of a store: their selection, their split by video, and their images in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch

import numpy as np

from vacli.errors import LabelError, StoreError, UsageError
from vacli.progress import Progress
from vacli.runtime.concurrency import parallel_map
from vacli.store import VideoView

AHEAD = 2  # batches that are decoded in the background
CACHE_BLOCK = 256


@dataclass(frozen=True, kw_only=True)
class FrameSampling:
    """Which frames of a video are used: frames with a face (and a label), one in `stride`, evenly spaced
    where there are more than `max_per_video`."""

    stride: int = 1
    max_per_video: int | None = None
    labelled: bool = True


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


def split_videos(
    views: Sequence[VideoView], share: float, patterns: Sequence[str], seed: int
) -> tuple[list[VideoView], list[VideoView]]:
    """Training and validation videos.

    Validation videos are those whose ids match a pattern; without patterns those of the labels' own split;
    without such a split a share of the source files. Entries of one source file (two people in one video)
    stay together. The labels' test split is left out. Raises UsageError where one part would be empty.
    """
    splits = {v.id: v.part_attrs("label").get("split", "") for v in views if v.has("label")}
    views = [v for v in views if splits.get(v.id) != "test"]
    if patterns:
        val = [v for v in views if any(fnmatch(v.id, p) for p in patterns)]
    elif "validation" in splits.values():
        val = [v for v in views if splits.get(v.id) == "validation"]
    else:
        val = _share_of_sources(views, share, seed)
    val_ids = {id(v) for v in val}
    train = [v for v in views if id(v) not in val_ids]
    if not val or not train:
        raise UsageError(
            f"{len(views)} videos cannot be split into training and validation",
            hint="give more videos, or name the validation videos",
        )
    return train, val


def sample(views: Sequence[VideoView], sampling: FrameSampling) -> Frames:
    """The selected frames of all videos; StoreError or LabelError where there are none."""
    parts = [_of_video(view, sampling) for view in views]
    rows = [rows for rows, _, _ in parts]
    if not sum(map(len, rows)):
        required = "a face and a label" if sampling.labelled else "a face"
        raise LabelError(
            f"none of the {len(views)} videos has a frame with {required}",
            hint="run `va align` and `va import-labels` first",
        )
    votes = [v for _, _, v in parts]
    return Frames(
        tuple(views),
        np.repeat(np.arange(len(views)), [len(r) for r in rows]),
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


def _share_of_sources(views: Sequence[VideoView], share: float, seed: int) -> list[VideoView]:
    sources = sorted({_source(v) for v in views})
    count = min(max(1, round(share * len(sources))), len(sources) - 1)
    picked = set(np.random.default_rng(seed).permutation(sources)[:count].tolist())
    return [v for v in views if _source(v) in picked]


def _source(view: VideoView) -> str:
    return str(view.source.get("sha256") or view.id)


def _of_video(view: VideoView, sampling: FrameSampling) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    if not view.has_crops():
        raise StoreError(f"{view.path} has no face crops", hint="run `va align` on its video first")
    usable = view.read("face/crop_size") > 0
    target = np.full((len(usable), 2), np.nan, np.float32)
    if sampling.labelled:
        target = view.labels()
        usable &= np.isfinite(target).all(1)
    rows = np.flatnonzero(usable)
    rows = rows[rows % sampling.stride == 0]
    most = sampling.max_per_video
    if most is not None and len(rows) > most:
        rows = rows[np.linspace(0, len(rows) - 1, most).round().astype(int)]
    votes = None
    if sampling.labelled and view.has("label/votes"):
        votes = np.asarray(view.read("label/votes"), np.float32)[rows]
    return rows, target[rows], votes
