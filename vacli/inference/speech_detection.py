"""Whether a sound is speech like the speech that a run was trained on.

A network that was trained on speech also predicts on non-speech, often with confident extremes, and the
models of a run agree on them. Speech differs from other sound less by the values of its descriptors than by
how these vary over time and which of them vary together. The detector is therefore a Mahalanobis distance
of the descriptors' means and standard deviations over four seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vacli.clock import median_rate_hz
from vacli.sequences.windows import smooth

CONTEXT_S = 4.0  # of sound around a frame that its score depends on
# Mean squared distances, about 1 for the training speech. An unseen language stays below 4.5; nearly all
# synthetic tones, noises and beats are above 6.5. Music, which has all of them, lies between.
SPEECH_DISTANCE, NON_SPEECH_DISTANCE = 4.5, 6.5
MAX_Z = 10.0  # a z-score further from 0 is clipped to this
MIN_MOVEMENT = 0.05  # of a column's median standard deviation; a smaller one counts as no movement
RIDGE = 0.02  # added to the covariance's diagonal: a column may vary more in unseen speakers
FIT_FRAMES_PER_CONTEXT = 20  # neighbouring frames are redundant
MIN_CONTEXT_FRACTION = 0.3  # of CONTEXT_S: less sound than this has no score
MIN_RATE_HZ = 23.0  # below it, rows vary less than those of the training speech
NAMES_OF_VERSION_1 = {"least": "min_movement", "middle": "mean"}  # of arrays in speech.safetensors


@dataclass(frozen=True, eq=False)
class SpeechDetector:
    """Statistics of D columns of training speech: of each, its mean and log standard deviation in CONTEXT_S.

    min_movement: (D,) added to the standard deviations. centre, scale: (2D,) median and half of the 16th to
    84th percentile of means and log standard deviations. mean: (2D,) and whitening: (2D, 2D) of these in
    such units (Mahalanobis 1936).
    """

    min_movement: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    mean: np.ndarray
    whitening: np.ndarray

    @classmethod
    def fit(cls, recordings: Sequence[np.ndarray], frames: Sequence[int]) -> SpeechDetector:
        """Fit to recordings (T, D) that are nearly all speech; frames: of each, the rows in CONTEXT_S.

        Rows with NaN are ignored, and so are recordings on too slow a clock (0). At least one row must
        remain. Rows further away than NON_SPEECH_DISTANCE are left out of the covariance.
        """
        moments = [
            [x[:: max(1, count // FIT_FRAMES_PER_CONTEXT)] for x in _moving_moments(rows, count)]
            for rows, count in zip(recordings, frames, strict=True)
            if count
        ]
        means, stds = (np.concatenate(x) for x in zip(*moments, strict=True))
        min_movement = MIN_MOVEMENT * np.median(stds, axis=0) + np.finfo(np.float32).tiny
        columns = np.hstack([means, np.log(stds + min_movement)])
        low, centre, high = np.percentile(columns, [16, 50, 84], axis=0)
        scale = np.where(high > low, (high - low) / 2, 1.0)
        z = ((columns - centre) / scale).clip(-MAX_Z, MAX_Z)
        distance = np.square(z).mean(axis=1)
        speech = z[distance <= max(NON_SPEECH_DISTANCE, np.median(distance))]
        covariance = np.cov(speech.T, ddof=0) + RIDGE * np.eye(len(centre))
        whitening = np.linalg.inv(np.linalg.cholesky(covariance))
        return cls(min_movement, centre, scale, speech.mean(axis=0), whitening.astype(np.float16))

    def score(self, rows: np.ndarray, frames: int) -> np.ndarray:
        """(T,) from 0, not speech, to 1, speech, for rows (T, D) with `frames` rows in CONTEXT_S.

        Rows with NaN are missing. They get 1, like rows with less than MIN_CONTEXT_FRACTION of CONTEXT_S
        around them.
        """
        present = np.isfinite(rows).all(axis=1)
        scores = np.ones(len(rows))
        enough = _count(present, frames)[present] >= MIN_CONTEXT_FRACTION * frames
        means, stds = _moving_moments(rows, frames)
        z = (np.hstack([means, np.log(stds + self.min_movement)]) - self.centre) / self.scale
        white = (z.clip(-MAX_Z, MAX_Z) - self.mean) @ self.whitening.T.astype(np.float64)
        distance = np.square(white).mean(axis=1)
        score = (NON_SPEECH_DISTANCE - distance) / (NON_SPEECH_DISTANCE - SPEECH_DISTANCE)
        scores[present] = np.where(enough, score.clip(0.0, 1.0), 1.0)
        return scores

    def arrays(self) -> dict[str, np.ndarray]:
        """Name -> array in single precision or less, the content of speech.safetensors."""
        return {name: x if x.dtype == np.float16 else x.astype(np.float32) for name, x in vars(self).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], columns: int) -> SpeechDetector:
        """The inverse of `arrays`, for D = `columns`; ValueError if the arrays do not fit."""
        named = {NAMES_OF_VERSION_1.get(name, name): x for name, x in arrays.items()}
        size = 2 * columns
        shapes: dict[str, tuple[int, ...]] = {"min_movement": (columns,), "whitening": (size, size)}
        shapes |= dict.fromkeys(("centre", "scale", "mean"), (size,))
        if {name: x.shape for name, x in named.items()} != shapes:
            raise ValueError(f"it is no speech detector for {columns} columns")
        return cls(**named)


def speech_context_frames(times_s: np.ndarray) -> int:
    """The number of rows in CONTEXT_S of a clock (T,); 0 if the clock is slower than MIN_RATE_HZ."""
    rate_hz = median_rate_hz(times_s)
    return round(CONTEXT_S * rate_hz) if rate_hz >= MIN_RATE_HZ else 0


def _count(present: np.ndarray, frames: int) -> np.ndarray:
    """(T,) the number of rows that are present among the `frames` rows around each."""
    total, at = np.concatenate([[0], np.cumsum(present)]), np.arange(len(present))
    return total[(at + frames // 2 + 1).clip(max=len(present))] - total[(at - frames // 2).clip(min=0)]


def _moving_moments(rows: np.ndarray, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (N, D) over the `frames` rows around each of the N rows without NaN."""
    present = np.isfinite(rows).all(axis=1)
    filled = np.where(present[:, np.newaxis], rows, 0).astype(np.float64)
    offset = filled[present].mean(axis=0) if present.any() else 0.0  # keeps the squares small
    centred, real = (filled - offset)[np.newaxis], present[np.newaxis]
    mean, square = (smooth(x, real, frames)[0, present] for x in (centred, np.square(centred)))
    return offset + mean, np.sqrt(np.maximum(square - np.square(mean), 0.0))
