"""From the output of a run's models to an estimate and the standard deviation of its error.

The models of a cross-validation share most of their training data, so that they agree more than they are
right. The variance of their error is therefore modelled as

    floor^2 + (gain x ensemble_std)^2 + (difficulty_gain x difficulty)^2

and measured on videos that no model was trained on. The output x is taken for a measurement of the true value
with this error, and the true value is normally distributed around neutral, 0, with prior_std. The estimate is
the mean of the posterior distribution: an output with a large error is shrunk towards neutral, and no
output is scaled up.

The prior of valence may depend on the estimated arousal: its prior_std is multiplied by
exp(prior_growth x arousal), since valence varies more among aroused people (Kuppens, Tuerlinckx, Russell and
Barrett, "The relation between valence and arousal in subjective experience", Psychological Bulletin, 2013).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vacli.inference.ensemble import EnsembleOutput

LEAST, MOST = 1e-3, 10.0  # of fitted standard deviations and gains
MAX_GROWTH = 2.0  # of the logarithm of the prior's standard deviation per unit of arousal
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

    prior_std: standard deviation of the true values around 0; None: outputs are not shrunk. prior_growth: of
    the logarithm of valence's prior_std, per unit of the estimated arousal.
    """

    floor: Pair
    gain: Pair
    difficulty_gain: Pair = (0.0, 0.0)
    prior_std: Pair | None = None
    prior_growth: float = 0.0

    @classmethod
    def fit(
        cls,
        output: EnsembleOutput,
        labels: np.ndarray,
        weights: np.ndarray | None = None,
        conditions: np.ndarray | None = None,
        *,
        by_arousal: bool = False,
    ) -> ErrorModel:
        """The parameters with the smallest mean CRPS of normal distributions (Gneiting and Raftery 2007).

        labels (T, 2). weights (T,): of the frames, None for equal ones. conditions (T,): names of the
        conditions that the frames were recorded under. If there are several, the squared errors of the
        coverages in each are added to the CRPS, because a small mean CRPS may come with error bars that are
        too large in easy conditions and too small in hard ones. by_arousal: fit prior_growth, too.
        """
        kept = np.arange(0, len(labels), -(-len(labels) // MAX_FITTED_FRAMES))
        output, labels = output.rows(kept), labels[kept]
        weights = np.ones(len(kept)) if weights is None else weights[kept]
        groups = np.zeros(len(kept), np.int64)
        if conditions is not None:
            groups = np.unique(conditions[kept], return_inverse=True)[1]
        frames = _Frames(output, labels, weights / weights.sum(), groups)
        arousal = _fit_dimension(frames, 1)
        estimated = None
        if by_arousal:  # in double precision, as NumPy 1 would make the whole fit single
            model = cls._of_rows(arousal, arousal)
            estimated = model.estimate(output).values[:, 1].astype(np.float64)
        return cls._of_rows(_fit_dimension(frames, 0, estimated), arousal)

    @classmethod
    def _of_rows(cls, valence: np.ndarray, arousal: np.ndarray) -> ErrorModel:
        """The model with the parameters (5,) that `_fit_dimension` returns for each dimension."""
        floor, gain, difficulty_gain, prior_std = (_pair(x) for x in np.stack([valence, arousal], 1)[:4])
        return cls(floor, gain, difficulty_gain, prior_std, prior_growth=float(valence[4]))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ErrorModel:
        """The inverse of `dataclasses.asdict`; reads versions 1 and 2 without their scaling of values."""
        prior_std = values.get("prior_std")
        return cls(
            floor=_pair(values["floor"]),
            gain=_pair(values["gain"]),
            difficulty_gain=_pair(values.get("difficulty_gain", (0.0, 0.0))),
            prior_std=None if prior_std is None else _pair(prior_std),
            prior_growth=float(values.get("prior_growth", 0.0)),
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
            weight = self._weight(self.prior_std, output, variance)
        values = (output.values * weight).clip(-1.0, 1.0)
        return Estimate(values.astype(np.float32), np.sqrt(weight * variance).astype(np.float32))

    def _weight(self, prior_std: Pair, output: EnsembleOutput, variance: np.ndarray) -> np.ndarray:
        """(T, 2) by which the outputs are multiplied."""
        prior = np.tile(np.square(prior_std, dtype=np.float64), (len(variance), 1))
        weight = prior / (prior + variance)
        if self.prior_growth:
            prior[:, 0] *= np.exp(2 * self.prior_growth * weight[:, 1] * output.values[:, 1])
            weight = prior / (prior + variance)
        return weight


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


def _fit_dimension(frames: _Frames, dimension: int, arousal: np.ndarray | None = None) -> np.ndarray:
    """(5,): floor, gain, difficulty_gain, prior_std and prior_growth of valence (0) or arousal (1).

    arousal (T,): its estimates, None for a prior that does not depend on it.
    """
    from scipy.optimize import minimize

    output = frames.output
    values, target = (x[:, dimension].astype(np.float64) for x in (output.values, frames.labels))
    spread = np.square(output.spread[:, dimension], dtype=np.float64)
    difficulty = np.square(output.difficulty[:, dimension], dtype=np.float64)

    def loss(parameters: np.ndarray) -> float:
        floor, gain, difficulty_gain, prior = np.exp(2 * parameters[:4])
        if arousal is not None:
            prior = prior * np.exp(2 * parameters[4] * arousal)
        variance = floor + gain * spread + difficulty_gain * difficulty
        weight = prior / (prior + variance)
        estimate, std = weight * values, np.sqrt(weight * variance)
        score = float(frames.weights @ crps(estimate, std, target))
        return score + _miscoverage(np.abs(target - estimate) / std, frames)

    growths = (0.0, 0.0) if arousal is None else (-MAX_GROWTH, MAX_GROWTH)
    bounds = [(np.log(LEAST), np.log(MOST))] * 4 + [growths]
    starts = [np.append(np.log(start), 0.0) for start in STARTS]
    fits = [minimize(loss, start, method="L-BFGS-B", bounds=bounds) for start in starts]
    found = min(fits, key=lambda fit: fit.fun).x
    return np.append(np.exp(found[:4]) * (1, spread.any(), difficulty.any(), 1), found[4])


def _pair(values: Any) -> Pair:
    valence, arousal = map(float, values)
    return valence, arousal
