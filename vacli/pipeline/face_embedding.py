"""One person's faces as rows: where they are, and what a network makes of them."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from vacli.faces.detect import Detection
from vacli.faces.tracker import Face

MOST_BETWEEN = 8  # rows
BATCH = 32  # crops that go through the visual network at once
MOST_SENT = 2  # batches that wait for it


@dataclass(frozen=True, eq=False)
class FaceRows:
    """Whose face was seen where. found (N,) bool; score (N,), box (N, 4) x0 y0 x1 y1 px, NaN where none."""

    found: np.ndarray
    score: np.ndarray
    box: np.ndarray

    @classmethod
    def nobody(cls, count: int) -> FaceRows:
        """No face in `count` frames."""
        return cls(np.zeros(count, bool), np.full(count, np.nan), np.full((count, 4), np.nan))


Rows = dict[str, list[np.ndarray]]


class Describer:
    """Describes faces in batches, whoever they are of, and beside whoever finds them."""

    def __init__(self, extractors: Mapping[str, Any]) -> None:
        self.extractors = extractors
        self._waiting: list[tuple[np.ndarray, Rows]] = []
        self._pool = ThreadPoolExecutor(1)
        self._sent: deque[Future[None]] = deque()

    def add(self, crop: np.ndarray, rows: Rows) -> None:
        """Append the features of a crop (224, 224, 3) uint8 to `rows`, at the latest with `flush`."""
        self._waiting.append((crop, rows))
        if len(self._waiting) == BATCH:
            self.send()
            if len(self._sent) > MOST_SENT:
                self._sent.popleft().result()

    def send(self) -> None:
        """Have what was collected described, without waiting for it."""
        if self._waiting:
            self._sent.append(self._pool.submit(self._describe, self._waiting))
            self._waiting = []

    def flush(self) -> None:
        """Describe what was collected."""
        self.send()
        while self._sent:
            self._sent.popleft().result()

    def _describe(self, waiting: list[tuple[np.ndarray, Rows]]) -> None:
        crops = np.stack([crop for crop, _ in waiting])
        for name, extractor in self.extractors.items():
            for (_, rows), row in zip(waiting, extractor.extract(crops), strict=True):
                rows[name].append(row)


class FaceReader:
    """One person's faces among `count` frames; memory goes with the frames that the person is in."""

    def __init__(self, describer: Describer, count: int) -> None:
        self._describer, self._count = describer, count
        self._places: list[int] = []
        self._described: list[int] = []
        self._found: list[bool] = []
        self._seen: list[tuple[float, ...]] = []
        self._features: Rows = {name: [] for name in describer.extractors}
        self._settled = 0

    def add(
        self, index: int, crop: np.ndarray | None, face: Face | Detection | None, found: bool = True
    ) -> None:
        """Take an aligned face (224, 224, 3) uint8 of frame `index`; `face` tells where it was, if known.

        Without a crop the frame is described by those around it.
        """
        self._places.append(index)
        self._found.append(found)
        self._seen.append((np.nan,) * 5 if face is None else (face.score, *face.box))
        if crop is not None:
            self._described.append(index)
            self._describer.add(crop, self._features)

    def settled(self, frames: int) -> int:
        """How many rows will not change any more when `frames` frames have been looked at."""
        made = min(map(len, self._features.values()), default=len(self._described))
        if made == len(self._described):
            settled = frames - MOST_BETWEEN
        else:
            settled = self._described[made - 1] + 1 if made else self._described[0] - MOST_BETWEEN
        self._settled = max(settled, self._settled)
        return self._settled

    def rows(self, start: int = 0, end: int | None = None) -> FaceRows:
        """Where the faces were, a row a frame, in the frames from `start` up to `end`."""
        end = self._count if end is None else end
        rows = FaceRows.nobody(end - start)
        here = slice(bisect_left(self._places, start), bisect_left(self._places, end))
        if places := self._places[here]:
            at, seen = np.array(places) - start, np.array(self._seen[here], np.float64)
            rows.found[at] = self._found[here]
            rows.score[at], rows.box[at] = seen[:, 0], seen[:, 1:]
        return rows

    def features(self, start: int = 0, end: int | None = None) -> dict[str, np.ndarray]:
        """Feature -> (N, D) float32 of the frames from `start` up to `end`, NaN where there is no face.

        Waits for what is not described yet, unless a part is asked for: then it must be `settled`.
        """
        if end is None:
            self._describer.flush()
            end = self._count
        low, high = start - MOST_BETWEEN, end + MOST_BETWEEN  # described rows further away do not matter
        places = np.array(self._places[bisect_left(self._places, start) : bisect_left(self._places, end)])
        made = {}
        for name, extractor in self._describer.extractors.items():
            made[name] = np.full((end - start, extractor.spec.dim), np.nan, np.float32)
            near = slice(bisect_left(self._described, low), bisect_left(self._described, high))
            rows = self._features[name][near]
            if rows and len(places):
                described = np.array(self._described[near][: len(rows)])
                made[name][places - start] = _between(np.stack(rows), described, places)
        return made


def _between(rows: np.ndarray, described: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Descriptions at `places` (P,), from rows (N, D) at `described` (N,), both ascending: the row that is
    there, else a mixture of the two around, or the nearer one where the other is farther than MOST_BETWEEN
    rows; NaN where both are."""
    after = np.searchsorted(described, places).clip(0, len(described) - 1)
    before = np.where(described[after] > places, after - 1, after).clip(0)
    to_left, to_right = np.abs(places - described[before]), np.abs(described[after] - places)
    share = to_left / np.maximum(to_left + to_right, 1)
    share = np.where(to_right > MOST_BETWEEN, 0.0, share)
    share = np.where((to_left > MOST_BETWEEN) & (to_right <= MOST_BETWEEN), 1.0, share)[:, np.newaxis]
    mixed = rows[before] * (1 - share) + rows[after] * share
    near = np.minimum(to_left, to_right) <= MOST_BETWEEN
    return np.where(near[:, np.newaxis], mixed, np.nan).astype(np.float32)
