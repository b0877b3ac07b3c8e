"""The expected error of the bundled face network for a face, computed from the network's own outputs.

The variance of the error is MIN_STD^2 plus the exponential of a linear function of the activations, the
values and their spread over the emotions (heteroscedastic regression, Nix and Weigend, "Estimating the mean
and variance of the target probability distribution", ICNN 1994). The function is fitted to labelled pictures
that the network was not trained on, clear and degraded ones. It responds to a turned head and a covered
mouth, which the measures of `faces.quality` hardly do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vacli.features.compact.layout import EMBEDDING, decode_emotions
from vacli.inference.error_model import COVERAGES, SMOOTHING

INPUTS = EMBEDDING + 6  # activations; values, their squares and the logarithms of their spreads
RIDGE = 30.0  # on the squares of the weights of standardised inputs, for the sum over all faces
SPREAD_FLOOR = 1e-3  # added to the standard deviation over the emotions
MIN_STD = np.array([0.05, 0.03])  # of valence and arousal: votes of ten people are no more exact
WINDOW_S = 1.0  # in a video, errors are averaged over so much of the past, because those of frames flicker
HIGHEST = 99.5  # percentile of the fitted faces: no face gets a larger expected error


@dataclass(frozen=True, eq=False)
class FaceErrorModel:
    """The parameters, with the columns (valence, arousal).

    mean, scale (INPUTS,): of the inputs. weights (INPUTS, 2) and bias (2,): of half the logarithm of the
    exponential part. highest (2,): the largest value of that half.
    """

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    highest: np.ndarray

    @classmethod
    def fit(cls, rows: np.ndarray, labels: np.ndarray, conditions: np.ndarray) -> FaceErrorModel:
        """The parameters with the smallest loss on labelled faces.

        rows (N, 128) of the feature `compact`. labels (N, 2). conditions (N,): names of the conditions of
        the pictures. The loss is the mean CRPS of normal distributions plus the squared errors of the
        coverages in each condition, as in `ErrorModel.fit`, plus the ridge.
        """
        inputs = _inputs(rows)
        mean, scale = inputs.mean(axis=0), inputs.std(axis=0) + 1e-6
        standard = np.column_stack([(inputs - mean) / scale, np.ones(len(inputs))])
        groups = np.unique(conditions, return_inverse=True)[1]
        errors = np.abs(decode_emotions(rows)[0] - labels)
        fitted = [_Faces(standard, errors[:, d], groups, MIN_STD[d]).solve() for d in (0, 1)]
        solved = np.stack(fitted, axis=1)
        return cls(mean, scale, solved[:-1], solved[-1], np.percentile(standard @ solved, HIGHEST, axis=0))

    def expected(self, rows: np.ndarray) -> np.ndarray:
        """(N, 2) float64 standard deviations of the errors for rows (N, 128) of `compact`, NaN like them."""
        with np.errstate(invalid="ignore"):
            logs = (_inputs(rows) - self.mean) / self.scale @ self.weights + self.bias
            return np.hypot(MIN_STD, np.exp(np.minimum(logs, self.highest)))

    def expected_in_video(self, rows: np.ndarray, times_s: np.ndarray, first: int) -> np.ndarray:
        """(N - first, 2) geometric means of `expected` over the last WINDOW_S, NaN without a face.

        rows (N, 128) at times_s (N,) seconds; those before `first` are the past only.
        """
        logs = np.log(self.expected(rows))
        present = np.isfinite(logs).all(axis=1)
        starts = np.searchsorted(times_s, times_s[first:] - WINDOW_S, side="right")
        windows = np.column_stack([starts, np.arange(first, len(rows)) + 1]).ravel()
        summed = np.column_stack([np.where(present[:, np.newaxis], logs, 0.0), present])
        sums = np.add.reduceat(np.vstack([summed, np.zeros(3)]), windows)[::2]
        with np.errstate(invalid="ignore"):
            means = np.exp(sums[:, :2] / sums[:, 2:])
        return np.where(present[first:, np.newaxis], means, np.nan)

    def arrays(self) -> dict[str, np.ndarray]:
        """Name -> array in single precision, the content of face_error.safetensors."""
        return {name: x.astype(np.float32) for name, x in vars(self).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> FaceErrorModel:
        """The inverse of `arrays`; raises ValueError if the arrays do not fit."""
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("mean", "scale"), (INPUTS,))
        shapes |= {"weights": (INPUTS, 2)} | dict.fromkeys(("bias", "highest"), (2,))
        if {name: x.shape for name, x in arrays.items()} != shapes:
            raise ValueError("it is no model of the error of faces")
        return cls(**{name: x.astype(np.float64) for name, x in arrays.items()})


class RecentFaceErrors:
    """`FaceErrorModel.expected_in_video` of one face, a frame at a time."""

    def __init__(self, model: FaceErrorModel) -> None:
        self._model = model
        self._recent: deque[tuple[float, np.ndarray]] = deque()

    def add(self, row: np.ndarray, time_s: float) -> np.ndarray:
        """(1, 2) the expected error of the next frame from its row (1, 128), NaN without a face."""
        logs = np.log(self._model.expected(row))
        while self._recent and self._recent[0][0] <= time_s - WINDOW_S:
            self._recent.popleft()
        if np.isfinite(logs).all():
            self._recent.append((time_s, logs))
            return np.exp(np.mean([known for _, known in self._recent], axis=0))
        return logs


def _inputs(rows: np.ndarray) -> np.ndarray:
    """(N, INPUTS) float64."""
    values, spread = (x.astype(np.float64) for x in decode_emotions(rows))
    return np.hstack([rows[:, -EMBEDDING:], values, np.square(values), np.log(spread + SPREAD_FLOOR)])


@dataclass(frozen=True, eq=False)
class _Faces:
    """The N faces of a fit of one dimension.

    inputs (N, F), whose last column is 1. errors (N,): absolute. groups (N,): numbers of the conditions.
    """

    inputs: np.ndarray
    errors: np.ndarray
    groups: np.ndarray
    min_std: float

    def solve(self) -> np.ndarray:
        """(F,) the weights of the inputs with the smallest loss."""
        from scipy.optimize import minimize

        start = np.zeros(self.inputs.shape[1])
        start[-1] = np.log(np.sqrt(np.square(self.errors).mean()))
        options = {"maxiter": 1000}
        return np.asarray(minimize(self.loss, start, jac=True, method="L-BFGS-B", options=options).x)

    def loss(self, weights: np.ndarray) -> tuple[float, np.ndarray]:
        """The loss of `FaceErrorModel.fit` and its gradient (F,)."""
        varying = np.exp(self.inputs @ weights)
        std = np.hypot(self.min_std, varying)
        z = self.errors / std
        scores, by_log_std = _scores(z, std)
        penalty, penalty_by_log_std = _miscoverage(z, self.groups)
        ridge = RIDGE / len(z) * np.append(weights[:-1], 0.0)
        slope = (by_log_std / len(z) + penalty_by_log_std) * np.square(varying / std)
        return scores.mean() + penalty + ridge @ weights, self.inputs.T @ slope + 2 * ridge


def _scores(z: np.ndarray, std: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) CRPS of normal distributions (`error_model.crps`), and its derivative by the log of `std`."""
    from scipy.special import ndtr

    density = np.exp(-np.square(z) / 2) / np.sqrt(2 * np.pi)
    score = std * (z * (2 * ndtr(z) - 1) + 2 * density - 1 / np.sqrt(np.pi))
    return score, std * (2 * density - 1 / np.sqrt(np.pi))


def _miscoverage(z: np.ndarray, groups: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean over the groups of the squared errors of their coverages, and (N,) its derivative.

    z (N,): absolute errors in standard deviations. The derivative is by the log of the standard deviation.
    """
    from scipy.special import expit

    counts = np.bincount(groups)
    squares, derivative = 0.0, np.zeros(len(z))
    for bound, wanted in COVERAGES:
        width = SMOOTHING * bound
        within = expit((bound - z) / width)
        excess = np.bincount(groups, within) / counts - wanted
        squares += float(np.square(excess).mean())
        derivative += 2 * (excess / counts)[groups] / len(counts) * within * (1 - within) * z / width
    return squares, derivative
