"""The faces of one track, a row a frame: where they were detected, and their features."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from vacli.clock import bracket, mix, nearest_rows
from vacli.faces.detect import Detection
from vacli.faces.face_frame import Face
from vacli.faces.quality import face_difficulty
from vacli.files import scratch

MAX_GAP = 8  # rows over which features are interpolated
BATCH_SIZE = 32  # crops
MAX_PENDING = 2  # batches in the queue of the embedding thread
PLACE_SIZE = 15
UNKNOWN_PLACE = np.full(PLACE_SIZE, np.nan)  # score, box and landmarks of a face without a detection
BLOCK_ROWS = 2048  # whose features are interpolated together

Rows = dict[str, "FeatureRows"]


@dataclass(frozen=True, eq=False)
class FaceDetections:
    """The detections of one face track in N frames, NaN where nothing was detected.

    detected (N,) bool; score (N,); box (N, 4) x0 y0 x1 y1 and landmarks (N, 5, 2) in pixels; sharpness (N,):
    `quality.sharpness` of the crop of this frame or of the nearest one with a crop.
    """

    detected: np.ndarray
    score: np.ndarray
    box: np.ndarray
    landmarks: np.ndarray
    sharpness: np.ndarray

    @property
    def difficulty(self) -> np.ndarray:
        """(N,) `quality.face_difficulty` of each frame, 0 where nothing is known."""
        return face_difficulty(self.score, self.box, self.landmarks, self.sharpness)

    @classmethod
    def empty(cls, count: int) -> FaceDetections:
        """No face in `count` frames."""
        shapes = ((count,), (count, 4), (count, 5, 2), (count,))
        return cls(np.zeros(count, bool), *(np.full(shape, np.nan) for shape in shapes))

    def rows(self, start: int, end: int) -> FaceDetections:
        """The frames from `start` up to `end`."""
        here = slice(start, end)
        return FaceDetections(
            self.detected[here], self.score[here], self.box[here], self.landmarks[here], self.sharpness[here]
        )


class FeatureRows:
    """Rows (D,) float32 of one feature, without an object for each."""

    def __init__(self) -> None:
        self._values = array("f")
        self._dim = 1
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, row: np.ndarray) -> None:
        """Append a row."""
        self._dim = len(row)
        self._values.frombytes(np.asarray(row, np.float32).tobytes())
        self._count += 1

    def remove(self, count: int) -> None:
        """Remove the first rows."""
        del self._values[: count * self._dim]
        self._count -= min(count, self._count)

    def read(self, start: int, end: int) -> np.ndarray:
        """The rows from `start` up to `end`, or to the last one, (N, D)."""
        values = self._values[start * self._dim : min(end, self._count) * self._dim]
        return np.array(values, np.float32).reshape(-1, self._dim)


class FaceEmbedder:
    """Runs the visual extractors on batches of faces of all tracks, in a thread of its own."""

    def __init__(self, extractors: Mapping[str, Any]) -> None:
        self.extractors = extractors
        self._collected: list[tuple[np.ndarray, Rows]] = []
        self._pool = ThreadPoolExecutor(1)
        self._pending: deque[Future[None]] = deque()

    def add(self, crop: np.ndarray, rows: Rows) -> None:
        """Append the features of a crop (224, 224, 3) uint8 to `rows`, at the latest at `flush`."""
        self._collected.append((crop, rows))
        if len(self._collected) == BATCH_SIZE:
            self.submit()
            if len(self._pending) > MAX_PENDING:
                self._pending.popleft().result()

    def submit(self) -> None:
        """Queue the collected crops without waiting for a full batch or for the result."""
        if self._collected:
            self._pending.append(self._pool.submit(self._embed, self._collected))
            self._collected = []

    def flush(self) -> None:
        """Queue the collected crops and wait for all results."""
        self.submit()
        while self._pending:
            self._pending.popleft().result()

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown(cancel_futures=True)

    def _embed(self, collected: list[tuple[np.ndarray, Rows]]) -> None:
        crops = np.stack([crop for crop, _ in collected])
        for name, extractor in self.extractors.items():
            for (_, rows), row in zip(collected, extractor.extract(crops), strict=True):
                rows[name].append(row)


class FaceTrackFeatures:
    """The detections and features of one track of a video of `count` frames.

    Memory grows with the frames that the track is in.
    """

    def __init__(self, embedder: FaceEmbedder, count: int) -> None:
        self._embedder, self._count = embedder, count
        self._frames = array("q")
        self._embedded = array("q")  # those of the frames that have features of their own
        self._detected = array("b")
        self._places = array("d")  # score, box and landmarks, PLACE_SIZE for each frame
        self._sharpness = array("d")
        self._features: Rows = {name: FeatureRows() for name in embedder.extractors}
        self._n_final = 0

    def add(
        self,
        index: int,
        crop: np.ndarray | None,
        face: Face | Detection | None,
        *,
        sharpness: float = float("nan"),
        detected: bool = True,
    ) -> None:
        """Add frame `index` with its aligned face (224, 224, 3) uint8 and its detection, if known.

        sharpness: of the crop, NaN without one. The features of a frame without a crop are interpolated.
        """
        self._frames.append(index)
        self._detected.append(detected)
        self._sharpness.append(sharpness)
        self._places.extend(
            UNKNOWN_PLACE if face is None else np.hstack([face.score, face.box, face.landmarks.ravel()])
        )
        if crop is not None:
            self._embedded.append(index)
            self._embedder.add(crop, self._features)

    def n_final(self, frames: int) -> int:
        """The number of rows whose features no longer change once `frames` frames have been read."""
        done = min(map(len, self._features.values()), default=len(self._embedded))
        if done == len(self._embedded):
            n_final = frames - MAX_GAP
        else:
            n_final = self._embedded[done - 1] + 1 if done else self._embedded[0] - MAX_GAP
        self._n_final = max(n_final, self._n_final)
        return self._n_final

    def forget(self, before: int) -> None:
        """Drop what the rows before row `before` - MAX_GAP need; they cannot be asked for any more."""
        oldest = before - MAX_GAP
        n_old = bisect_left(self._frames, oldest)
        for values in (self._frames, self._detected, self._sharpness):
            del values[:n_old]
        del self._places[: n_old * PLACE_SIZE]
        n_old = bisect_left(self._embedded, oldest)
        del self._embedded[:n_old]
        for rows in self._features.values():
            rows.remove(n_old)

    def detections(self, start: int = 0, end: int | None = None) -> FaceDetections:
        """The detections of the frames from `start` up to `end`, a row a frame."""
        end = self._count if end is None else end
        rows = FaceDetections.empty(end - start)
        here = slice(bisect_left(self._frames, start), bisect_left(self._frames, end))
        if frames := self._frames[here]:
            at = np.array(frames) - start
            places = self._places[here.start * PLACE_SIZE : here.stop * PLACE_SIZE]
            found = np.array(places).reshape(-1, PLACE_SIZE)
            rows.detected[at] = self._detected[here]
            rows.score[at], rows.box[at] = found[:, 0], found[:, 1:5]
            rows.landmarks[at] = found[:, 5:].reshape(-1, 5, 2)
            rows.sharpness[at] = self._nearest_sharpness(np.array(frames))
        return rows

    def _nearest_sharpness(self, frames: np.ndarray) -> np.ndarray:
        """(N,) sharpness of the nearest frame with a known one, NaN beyond MAX_GAP."""
        near = slice(
            bisect_left(self._frames, frames[0] - MAX_GAP), bisect_right(self._frames, frames[-1] + MAX_GAP)
        )
        values = np.array(self._sharpness[near])
        known = np.flatnonzero(np.isfinite(values))
        if not len(known):
            return np.full(len(frames), np.nan)
        at = np.array(self._frames[near])[known]
        nearest = nearest_rows(frames, at)
        return np.where(abs(at[nearest] - frames) <= MAX_GAP, values[known[nearest]], np.nan)

    def features(self, start: int = 0, end: int | None = None) -> dict[str, np.ndarray]:
        """Feature -> (N, D) float32 of the frames from `start` up to `end`, NaN where there is no face.

        Without `end` it waits for all pending batches; otherwise `end` must not exceed `n_final`.
        """
        if end is None:
            self._embedder.flush()
            end = self._count
        features = {}
        for name, extractor in self._embedder.extractors.items():
            features[name] = scratch.missing_rows(end - start, extractor.spec.dim)
            for first in range(start, end, BLOCK_ROWS):
                block = features[name][first - start :][:BLOCK_ROWS]
                self._fill(block, self._features[name], first)
                scratch.release(block)
        return features

    def _fill(self, block: np.ndarray, known: FeatureRows, start: int) -> None:
        """Write the features of the frames from `start` on into a block (B, D)."""
        end = start + len(block)
        low, high = start - MAX_GAP, end + MAX_GAP  # rows further away have no influence
        frames = np.array(self._frames[bisect_left(self._frames, start) : bisect_left(self._frames, end)])
        first, stop = bisect_left(self._embedded, low), bisect_left(self._embedded, high)
        rows = known.read(first, stop)
        if len(rows) and len(frames):
            embedded = np.array(self._embedded[first : first + len(rows)])
            block[frames - start] = _interpolate(rows, embedded, frames)


def _interpolate(rows: np.ndarray, embedded: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """(P, D) features at `frames` (P,), from rows (N, D) at `embedded` (N,), both ascending.

    Linear between the two rows around a frame. If one of them is more than MAX_GAP away, the other is
    copied; if both are, the result is NaN.
    """
    before, after, weight = bracket(frames, embedded)
    to_left, to_right = np.abs(frames - embedded[before]), np.abs(embedded[after] - frames)
    weight = np.where(to_right > MAX_GAP, 0.0, weight)
    weight = np.where((to_left > MAX_GAP) & (to_right <= MAX_GAP), 1.0, weight)
    mixed = mix(rows[before], rows[after], weight)
    near = np.minimum(to_left, to_right) <= MAX_GAP
    return np.where(near[:, np.newaxis], mixed, np.nan).astype(np.float32)
