"""One person's faces as rows: where they are, and what a network makes of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from vacli.faces.detect import Detection
from vacli.faces.follow import Face

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


Waiting = list[tuple[np.ndarray, dict[str, list[np.ndarray]]]]


class Describer:
    """Describes faces in batches, whoever they are of, and beside whoever finds them."""

    def __init__(self, extractors: Mapping[str, Any]) -> None:
        self.extractors = extractors
        self._waiting: Waiting = []
        self._pool = ThreadPoolExecutor(1)
        self._sent: deque[Future[None]] = deque()

    def add(self, crop: np.ndarray, rows: dict[str, list[np.ndarray]]) -> None:
        """Append the features of a crop (224, 224, 3) uint8 to `rows`, at the latest with `flush`."""
        self._waiting.append((crop, rows))
        if len(self._waiting) == BATCH:
            self._send()
            if len(self._sent) > MOST_SENT:
                self._sent.popleft().result()

    def flush(self) -> None:
        """Describe what has been collected."""
        if self._waiting:
            self._send()
        while self._sent:
            self._sent.popleft().result()

    def _send(self) -> None:
        self._sent.append(self._pool.submit(self._describe, self._waiting))
        self._waiting = []

    def _describe(self, waiting: Waiting) -> None:
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
        self._features: dict[str, list[np.ndarray]] = {name: [] for name in describer.extractors}

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

    def rows(self) -> FaceRows:
        """Where the faces were, a row a frame."""
        rows = FaceRows.nobody(self._count)
        if self._places:
            seen = np.array(self._seen, np.float64)
            rows.found[self._places] = self._found
            rows.score[self._places], rows.box[self._places] = seen[:, 0], seen[:, 1:]
        return rows

    def features(self) -> dict[str, np.ndarray]:
        """Feature -> (count, D) float32, NaN rows where there is no face."""
        self._describer.flush()
        made = {}
        for name, extractor in self._describer.extractors.items():
            made[name] = np.full((self._count, extractor.spec.dim), np.nan, np.float32)
            if self._described:
                made[name][self._described] = self._features[name]
                _fill_between(made[name], np.array(self._described), np.array(self._places))
        return made


def _fill_between(rows: np.ndarray, described: np.ndarray, places: np.ndarray) -> None:
    """Give rows at `places` that lack a description that of the described ones around: in between the two, or
    the nearer one where the other is farther than MOST_BETWEEN rows. Rows (N, D) are changed in place."""
    lacking = np.setdiff1d(places, described)
    after = np.searchsorted(described, lacking).clip(1, len(described) - 1) if len(described) > 1 else 0
    left, right = described[np.maximum(after - 1, 0)], described[after]
    share = np.clip((lacking - left) / np.maximum(right - left, 1), 0, 1)
    share = np.where(np.abs(right - lacking) > MOST_BETWEEN, 0.0, share)
    share = np.where(np.abs(lacking - left) > MOST_BETWEEN, 1.0, share)
    near = np.minimum(np.abs(lacking - left), np.abs(right - lacking)) <= MOST_BETWEEN
    mixed = rows[left] * (1 - share)[:, np.newaxis] + rows[right] * share[:, np.newaxis]
    rows[lacking[near]] = mixed[near]
