"""From the output of a run's models to an estimate and the standard deviation of its error.

The models of a cross-validation share most of their training data, so that they agree more than they are
right. The variance of their error is therefore modelled as

    floor^2 + (gain x ensemble_std)^2 + (difficulty_gain x difficulty)^2

and measured on videos that no model was trained on. The output x is taken for a measurement of the true value
with this error, and the true value is normally distributed around neutral, 0, with prior_std. The estimate is
the mean of the posterior distribution: an output with a large error is shrunk towards neutral, and no
output is scaled up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vacli.inference.ensemble import EnsembleOutput

LEAST, MOST = 1e-3, 10.0  # of fitted standard deviations and gains
STARTS = ((0.2, 1.0, 0.2, 0.5), (0.5, 1.0, 0.2, 0.3), (0.1, 2.0, 0.5, 3.0))  # of the fit
COVERAGES = ((1.0, 0.6827), (2.0, 0.9545))  # (standard deviations, fraction of normal errors within them)
SMOOTHING = 0.08  # of the step of a coverage, relative to its number of standard deviations
MAX_FITTED_FRAMES = 20_000  # of a state; more frames are thinned out evenly

Pair = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Estimate:
    """values (T, 2) in [-1, 1] and the standard deviation (T, 2) of their error, both float32."""

    values: np.ndarray
    std: np.ndarray


@dataclass(frozen=True)
class ErrorModel:
    """The error of one state, (valence, arousal) each; see the module.

    prior_std: standard deviation of the true values around 0; None: outputs are not shrunk.
    """

    floor: Pair
    gain: Pair
    difficulty_gain: Pair = (0.0, 0.0)
    prior_std: Pair | None = None

    @classmethod
    def fit(
        cls,
        output: EnsembleOutput,
        labels: np.ndarray,
        weights: np.ndarray | None = None,
        conditions: np.ndarray | None = None,
    ) -> ErrorModel:
        """The parameters with the smallest mean CRPS of normal distributions (Gneiting and Raftery 2007).

        labels (T, 2). weights (T,): of the frames, None for equal ones. conditions (T,): names of the
        conditions that the frames were recorded under. If there are several, the squared errors of the
        coverages in each are added to the CRPS, because a small mean CRPS may come with error bars that are
        too large in easy conditions and too small in hard ones.
        """
        kept = np.arange(0, len(labels), -(-len(labels) // MAX_FITTED_FRAMES))
        output, labels = output.rows(kept), labels[kept]
        weights = np.ones(len(kept)) if weights is None else weights[kept]
        groups = np.zeros(len(kept), np.int64)
        if conditions is not None:
            groups = np.unique(conditions[kept], return_inverse=True)[1]
        frames = _Frames(output, labels, weights / weights.sum(), groups)
        solved = [_fit_dimension(frames, d) for d in (0, 1)]
        floor, gain, difficulty_gain, prior_std = (_pair(x) for x in np.stack(solved, axis=1))
        return cls(floor, gain, difficulty_gain, prior_std)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ErrorModel:
        """The inverse of `dataclasses.asdict`; reads versions 1 and 2 without their scaling of values."""
        prior_std = values.get("prior_std")
        return cls(
            floor=_pair(values["floor"]),
            gain=_pair(values["gain"]),
            difficulty_gain=_pair(values.get("difficulty_gain", (0.0, 0.0))),
            prior_std=None if prior_std is None else _pair(prior_std),
        )

    def variance(self, output: EnsembleOutput) -> np.ndarray:
        """(T, 2) variance of the error of the outputs."""
        return (
            np.square(self.floor)
            + np.square(self.gain) * np.square(output.spread, dtype=np.float64)
            + np.square(self.difficulty_gain) * np.square(output.difficulty, dtype=np.float64)
        )

    def estimate(self, output: EnsembleOutput) -> Estimate:
        """The posterior mean and standard deviation of the true values."""
        variance, weight = self.variance(output), np.ones(2)
        if self.prior_std is not None:
            weight = np.square(self.prior_std) / (np.square(self.prior_std) + variance)
        values = (output.values * weight).clip(-1.0, 1.0)
        return Estimate(values.astype(np.float32), np.sqrt(weight * variance).astype(np.float32))


def crps(values: np.ndarray, std: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The continuous ranked probability score of normal distributions (Gneiting and Raftery 2007, eq. 21)."""
    from scipy.special import ndtr

    z = (labels - values) / std
    density = np.exp(-np.square(z) / 2) / np.sqrt(2 * np.pi)
    return std * (z * (2 * ndtr(z) - 1) + 2 * density - 1 / np.sqrt(np.pi))


@dataclass(frozen=True, eq=False)
class _Frames:
    """The T frames of a fit. weights (T,) have the sum 1; groups (T,): numbers of the conditions, from 0."""

    output: EnsembleOutput
    labels: np.ndarray
    weights: np.ndarray
    groups: np.ndarray


def _miscoverage(z: np.ndarray, frames: _Frames) -> float:
    """The mean over the conditions of the squared errors of their coverages; 0 for a single condition.

    z (T,): absolute errors in standard deviations. The coverages are smooth functions of z.
    """
    from scipy.special import expit

    total = np.bincount(frames.groups, frames.weights)
    if len(total) == 1:
        return 0.0
    squares = 0.0
    for bound, wanted in COVERAGES:
        within = expit((bound - z) / (SMOOTHING * bound))
        coverage = np.bincount(frames.groups, frames.weights * within) / total
        squares += float(np.square(coverage - wanted).mean())
    return squares


def _fit_dimension(frames: _Frames, dimension: int) -> np.ndarray:
    """(4,): floor, gain, difficulty_gain and prior_std of valence (0) or arousal (1)."""
    from scipy.optimize import minimize

    output = frames.output
    values, target = (x[:, dimension].astype(np.float64) for x in (output.values, frames.labels))
    spread = np.square(output.spread[:, dimension], dtype=np.float64)
    difficulty = np.square(output.difficulty[:, dimension], dtype=np.float64)

    def loss(logs: np.ndarray) -> float:
        floor, gain, difficulty_gain, prior = np.exp(2 * logs)
        variance = floor + gain * spread + difficulty_gain * difficulty
        weight = prior / (prior + variance)
        estimate, std = weight * values, np.sqrt(weight * variance)
        score = float(frames.weights @ crps(estimate, std, target))
        return score + _miscoverage(np.abs(target - estimate) / std, frames)

    bounds = [(np.log(LEAST), np.log(MOST))] * 4
    fits = [minimize(loss, np.log(start), method="L-BFGS-B", bounds=bounds) for start in STARTS]
    found = np.exp(min(fits, key=lambda fit: fit.fun).x)
    return found * (1, spread.any(), difficulty.any(), 1)


def _pair(values: Any) -> Pair:
    valence, arousal = map(float, values)
    return valence, arousal
