"""Agreement metrics of a predicted and an annotated signal, in float64.

One definition of each metric for training, evaluation and tables. CCC is Lin's (1989) with 1/n in
both the covariance and the variances, as the ABAW challenges and both papers use it (LightMamba
IV.C, BDCA eq. 7): 2 cov / (var_x + var_y + (mean_x - mean_y)^2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Moments:
    """Moments of pairs (x, y); the sum of two records is the record of the concatenated data.

    `xx`, `yy` and `xy` are sums of products of deviations from the means, which avoids
    cancellation for values far from zero (Chan, Golub and LeVeque 1983).
    """

    count: int = 0
    mean_x: float = 0.0
    mean_y: float = 0.0
    xx: float = 0.0
    yy: float = 0.0
    xy: float = 0.0
    squared_error: float = 0.0
    same_sign: int = 0

    @classmethod
    def of(cls, predicted: np.ndarray, annotated: np.ndarray) -> Moments:
        """Moments of two (N,) arrays over the frames whose annotation is not NaN.

        A NaN in `predicted` at such a frame makes the metrics NaN. Raises ValueError if the shapes differ.
        """
        if np.shape(predicted) != np.shape(annotated):
            raise ValueError(f"shapes differ: {np.shape(predicted)} and {np.shape(annotated)}")
        y = np.asarray(annotated, dtype=np.float64)
        valid = ~np.isnan(y)
        x, y = np.asarray(predicted, dtype=np.float64)[valid], y[valid]
        if not len(x):
            return cls()
        mean_x, mean_y = _mean(x), _mean(y)
        dx, dy = x - mean_x, y - mean_y
        return cls(
            count=len(x),
            mean_x=mean_x,
            mean_y=mean_y,
            xx=float(dx @ dx),
            yy=float(dy @ dy),
            xy=float(dx @ dy),
            squared_error=float(np.sum((x - y) ** 2)),
            same_sign=int(np.sum(np.sign(x) == np.sign(y))),
        )

    def __add__(self, other: Moments) -> Moments:
        if not self.count or not other.count:
            return self if self.count else other
        count = self.count + other.count
        step_x, step_y = other.mean_x - self.mean_x, other.mean_y - self.mean_y
        weight = self.count * other.count / count
        return Moments(
            count=count,
            mean_x=self.mean_x + step_x * other.count / count,
            mean_y=self.mean_y + step_y * other.count / count,
            xx=self.xx + other.xx + weight * step_x**2,
            yy=self.yy + other.yy + weight * step_y**2,
            xy=self.xy + other.xy + weight * step_x * step_y,
            squared_error=self.squared_error + other.squared_error,
            same_sign=self.same_sign + other.same_sign,
        )

    @property
    def ccc(self) -> float:
        """Concordance correlation coefficient; 0 if either signal is constant, NaN without data."""
        if not self.count:
            return math.nan
        spread = (self.xx + self.yy) / self.count + (self.mean_x - self.mean_y) ** 2
        return 2.0 * self.xy / self.count / spread if spread else 0.0

    @property
    def pcc(self) -> float:
        """Pearson's correlation; 0 if either signal is constant, NaN without data."""
        if not self.count:
            return math.nan
        scale = math.sqrt(self.xx) * math.sqrt(self.yy)
        return self.xy / scale if scale else 0.0

    @property
    def rmse(self) -> float:
        """Root of the mean squared error."""
        return math.sqrt(self.squared_error / self.count) if self.count else math.nan

    @property
    def sign_agreement(self) -> float:
        """Fraction of frames whose signs agree (SAGR, Nicolaou et al. 2011); zero agrees with zero only."""
        return self.same_sign / self.count if self.count else math.nan


def _mean(values: np.ndarray) -> float:
    # The rounded mean of equal values can differ from them, which would give a constant signal
    # a tiny variance and two constants a random CCC instead of 0.
    return float(values[0]) if np.all(values == values[0]) else float(np.mean(values))


def ccc(predicted: np.ndarray, annotated: np.ndarray) -> float:
    """CCC of two (N,) arrays over annotated frames; see `Moments.of`."""
    return Moments.of(predicted, annotated).ccc


def pcc(predicted: np.ndarray, annotated: np.ndarray) -> float:
    """Pearson's correlation of two (N,) arrays over annotated frames."""
    return Moments.of(predicted, annotated).pcc


def rmse(predicted: np.ndarray, annotated: np.ndarray) -> float:
    """Root mean squared error of two (N,) arrays over annotated frames."""
    return Moments.of(predicted, annotated).rmse


def sign_agreement(predicted: np.ndarray, annotated: np.ndarray) -> float:
    """Fraction of annotated frames where both (N,) arrays have the same sign."""
    return Moments.of(predicted, annotated).sign_agreement
