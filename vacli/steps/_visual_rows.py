"""The rows of a visual feature: which are computed, their crops, and the rows between them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from vacli.clock import interpolate
from vacli.features.flags import INTERPOLATED, MISSING
from vacli.features.protocols import VisualExtractor
from vacli.files import scratch
from vacli.progress import Progress
from vacli.store import VideoView

BLOCK_BATCHES = 4  # batches that are decoded together while the previous block is computed
FILL_ROWS = 1024  # rows that are interpolated together


@dataclass(frozen=True)
class FaceRows:
    """usable: (N,) bool, True for frames with a face. computed: ascending rows that are computed."""

    usable: np.ndarray
    computed: np.ndarray

    @classmethod
    def of(cls, view: VideoView, stride: int) -> FaceRows:
        """The rows of a video of which one of `stride` is computed."""
        usable = view.read("face/crop_size") > 0
        track = view.read("face/track") if view.has("face/track") else np.zeros(len(usable), np.int32)
        return cls(usable, plan_rows(usable, track, stride))


def plan_rows(usable: np.ndarray, track: np.ndarray, stride: int) -> np.ndarray:
    """The rows to compute, so that every usable row is between two computed rows of the same face.

    usable: (N,) bool, True if the row has a face. track: (N,) int track of the face. Returns ascending rows:
    of each contiguous run of one face the first, every `stride`-th after it, and the last.
    """
    rows = np.flatnonzero(usable)
    if stride == 1 or not len(rows):
        return rows
    runs = np.split(rows, _run_starts(rows, track))
    return np.concatenate([np.union1d(run[::stride], run[-1:]) for run in runs])


def fill_skipped(
    values: np.ndarray, computed: np.ndarray, usable: np.ndarray, times_s: np.ndarray
) -> np.ndarray:
    """Fill usable rows of `values` (N, D) linearly in time between computed rows; returns (N,) flags."""
    flags = np.where(usable, 0, MISSING).astype(np.uint8)
    rows = np.setdiff1d(np.flatnonzero(usable), computed)
    if not len(rows):
        return flags
    places = np.searchsorted(computed, rows)  # a run begins and ends with a computed row
    for first in range(0, len(rows), FILL_ROWS):
        some = slice(first, first + FILL_ROWS)
        near = computed[max(places[some][0] - 1, 0) : places[some][-1] + 1]
        values[rows[some]] = interpolate(times_s[rows[some]], times_s[near], values[near])
        scratch.release(values)
    flags[rows] = INTERPOLATED
    return flags


def extracted(
    view: VideoView, rows: np.ndarray, extractor: VisualExtractor, progress: Progress
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the values (n, D) of blocks of rows, each with its place in `rows`."""
    with progress.task(view.id, len(rows), "frames") as advance:
        for place, crops in _crop_blocks(view, rows, extractor.batch_size * BLOCK_BATCHES):
            yield place, extractor.extract(crops)
            advance(len(crops))


def _run_starts(rows: np.ndarray, track: np.ndarray) -> np.ndarray:
    """The positions in `rows` at which a new run begins: after a gap, or at another face."""
    return np.flatnonzero((np.diff(rows) != 1) | (np.diff(track[rows]) != 0)) + 1


def _crop_blocks(view: VideoView, rows: np.ndarray, block: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the crops of blocks of rows; the next block is decoded while the current one is computed."""
    places = [slice(start, start + block) for start in range(0, len(rows), block)]

    def read(place: slice) -> np.ndarray:
        return np.stack([crop for crop in view.crops(rows[place].tolist()) if crop is not None])

    with ThreadPoolExecutor(1) as pool:
        pending = deque(pool.submit(read, place) for place in places[:1])
        for number, place in enumerate(places, 1):
            crops = pending.popleft().result()
            pending.extend(pool.submit(read, following) for following in places[number : number + 1])
            yield place, crops
