"""Whether a sound is like the speech that a run learned from.

A network goes on with whatever it is given: of a melody, one that learned from speech alone may say the most
unpleasant there is, all members of a run agreeing. What tells speech from other sound is less what its
descriptors are than how they move, and which of them move together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vacli.clock import median_rate_hz
from vacli.sequences.windows import smooth

AROUND_S = 4.0  # of sound by which a frame is judged
# Mean squared distances, about 1 for the speech itself. A language that was not among it lies below 4.5;
# made-up tones, noises and beats nearly all above 6.5, music that has all of them between.
LIKE, UNLIKE = 4.5, 6.5
FURTHEST = 10.0  # of a column's own spreads from its middle; what is further is as far
STILLEST = 0.05  # of a column's usual movement, below which movement is none
EASE = 0.02  # added to every variance: what hardly varies in few speakers may in others
FITTED_AT = 20  # frames in AROUND_S; those between say the same
SHORTEST = 0.3  # of AROUND_S: speech that is shorter moves too little to be told
SLOWEST_HZ = 23.0  # on slower clocks rows move less than those that speech was learned from


@dataclass(frozen=True, eq=False)
class Speech:
    """What D columns are over AROUND_S of speech: the mean of each and, as a logarithm, its movement.

    least: (D,) what is no movement. centre, scale: (2D,) median and half of the middle 68 % of means and
    movements. middle: (2D,) and whitening: (2D, 2D) of these in such units (Mahalanobis 1936).
    """

    least: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    middle: np.ndarray
    whitening: np.ndarray

    @classmethod
    def fit(cls, recordings: Sequence[np.ndarray], frames: Sequence[int]) -> Speech:
        """From recordings (T, D), nearly all of speech; frames: of each, how many rows AROUND_S is.

        Rows with NaN do not count, nor recordings on too slow a clock (0); one row is needed that does.
        """
        over = [
            [x[:: max(1, count // FITTED_AT)] for x in _over(rows, count)]
            for rows, count in zip(recordings, frames, strict=True)
            if count
        ]
        means, movements = (np.concatenate(x) for x in zip(*over, strict=True))
        least = STILLEST * np.median(movements, axis=0) + np.finfo(np.float32).tiny
        told = np.hstack([means, np.log(movements + least)])
        low, centre, high = np.percentile(told, [16, 50, 84], axis=0)
        scale = np.where(high > low, (high - low) / 2, 1.0)
        away = ((told - centre) / scale).clip(-FURTHEST, FURTHEST)
        far = np.square(away).mean(axis=1)
        speech = away[far <= max(UNLIKE, np.median(far))]  # whatever else is among it
        varying = np.cov(speech.T, ddof=0) + EASE * np.eye(len(centre))
        whitening = np.linalg.inv(np.linalg.cholesky(varying))
        return cls(least, centre, scale, speech.mean(axis=0), whitening.astype(np.float16))

    def likeness(self, rows: np.ndarray, frames: int) -> np.ndarray:
        """(T,) from 1, like it, to 0, unlike it, of rows (T, D); 1 where that cannot be told.

        Rows with NaN are missing; it cannot be told of them, nor where too few others are around.
        """
        there = np.isfinite(rows).all(axis=1)
        made, enough = np.ones(len(rows)), _count(there, frames)[there] >= SHORTEST * frames
        means, movements = _over(rows, frames)
        away = (np.hstack([means, np.log(movements + self.least)]) - self.centre) / self.scale
        white = (away.clip(-FURTHEST, FURTHEST) - self.middle) @ self.whitening.T.astype(np.float64)
        distance = np.square(white).mean(axis=1)
        like = ((UNLIKE - distance) / (UNLIKE - LIKE)).clip(0.0, 1.0)
        made[there] = np.where(enough, like, 1.0)
        return made

    def arrays(self) -> dict[str, np.ndarray]:
        """By name, in single precision or less, for a safetensors file."""
        return {name: x if x.dtype == np.float16 else x.astype(np.float32) for name, x in vars(self).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], columns: int) -> Speech:
        """The inverse of `arrays`, for sound of D = `columns`; ValueError where it is no such thing."""
        told = 2 * columns
        shapes = {"least": (columns,), "centre": (told,), "scale": (told,), "middle": (told,)}
        shapes["whitening"] = (told, told)
        if {name: x.shape for name, x in arrays.items()} != shapes:
            raise ValueError(f"it tells of no speech in {columns} columns")
        return cls(**arrays)


def frames_around(times_s: np.ndarray) -> int:
    """How many rows of a clock (T,) AROUND_S is; 0 where the clock is too slow to judge by."""
    rate_hz = median_rate_hz(times_s)
    return round(AROUND_S * rate_hz) if rate_hz >= SLOWEST_HZ else 0


def _count(there: np.ndarray, frames: int) -> np.ndarray:
    """(T,) how many rows are there among `frames` around each."""
    total, at = np.concatenate([[0], np.cumsum(there)]), np.arange(len(there))
    return total[(at + frames // 2 + 1).clip(max=len(there))] - total[(at - frames // 2).clip(min=0)]


def _over(rows: np.ndarray, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (N, D) over `frames` around each of the N rows that are there."""
    there = np.isfinite(rows).all(axis=1)
    kept = np.where(there[:, np.newaxis], rows, 0).astype(np.float64)
    middle = kept[there].mean(axis=0) if there.any() else 0.0  # else squares of large numbers are subtracted
    off, real = (kept - middle)[np.newaxis], there[np.newaxis]
    mean, square = (smooth(x, real, frames)[0, there] for x in (off, np.square(off)))
    return middle + mean, np.sqrt(np.maximum(square - np.square(mean), 0.0))
