"""Labels of one video by several raters: their combination and the inter-rater agreement."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from vacli.datasets.annotations import ANNOTATED, NOT_ANNOTATED, OUTSIDE, VALENCE_AROUSAL, FrameLabels
from vacli.metrics import Moments

Method = Literal["mean", "ewe"]
METHODS: tuple[Method, ...] = get_args(Method)
Pair = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Agreement of raters in one dimension: means over the pairs of raters, and Cronbach's alpha.

    frames: the number of frames that two raters annotated, summed over the pairs.
    """

    ccc: float
    pcc: float
    alpha: float
    frames: int

    def attributes(self) -> dict[str, float | int | None]:
        """JSON form, null for NaN."""
        scores = {"ccc": self.ccc, "pcc": self.pcc, "cronbach_alpha": self.alpha}
        plain = {name: None if math.isnan(value) else value for name, value in scores.items()}
        return {**plain, "frames": self.frames}


@dataclass(frozen=True, kw_only=True)
class CombinedLabels:
    """Labels of all raters. weights: rater -> weight in valence and arousal. moments: of pairs of raters."""

    labels: FrameLabels
    weights: Mapping[str, tuple[float, float]]
    moments: Mapping[Pair, tuple[Moments, Moments]]


@dataclass
class AgreementCount:
    """Sums the pairs of raters over videos. panels: the number of raters of a video, summed over videos."""

    moments: dict[Pair, tuple[Moments, Moments]] = field(default_factory=dict)
    videos: int = 0
    panels: int = 0

    def add(self, combined: CombinedLabels) -> None:
        """Add a video; one of a single rater changes nothing."""
        self.videos += bool(combined.moments)
        self.panels += _panel_size(combined.moments)
        for pair, (valence, arousal) in combined.moments.items():
            old = self.moments.get(pair, (Moments(), Moments()))
            self.moments[pair] = (old[0] + valence, old[1] + arousal)

    def agreement(self) -> dict[str, Agreement]:
        """Dimension -> agreement over all videos; empty if no video has several raters."""
        return agreement(self.moments, self.panels / self.videos) if self.videos else {}


def combine(raters: Mapping[str, FrameLabels], method: Method = "mean") -> CombinedLabels:
    """The labels of a video from those of its raters; a frame has the mean over the raters who annotated it.

    raters: rater -> labels (N, 2). "ewe" is the evaluator-weighted estimator of Grimm and Kroschel (ASRU
    2005): each rater is weighted by the Pearson correlation with the mean of all raters, in this video
    and dimension. Negative weights are 0; where no weight is positive, all are equal.
    """
    names = sorted(raters)
    if len(names) == 1:
        return CombinedLabels(labels=raters[names[0]], weights={names[0]: (1.0, 1.0)}, moments={})
    values = np.stack([raters[name].values for name in names], axis=1).astype(np.float64)  # (N, K, 2)
    values[np.isnan(values).any(axis=2)] = np.nan  # a rater's frame needs both dimensions
    weights = np.ones(values.shape[1:])
    if method == "ewe":
        weights = evaluator_weights(values)
    sources = np.stack([raters[name].source for name in names])
    made = _weighted_mean(values, weights)
    known = ~np.isnan(made).any(axis=1)
    unknown = np.where((sources == OUTSIDE).all(axis=0), OUTSIDE, NOT_ANNOTATED)
    source = np.where(known, ANNOTATED, unknown).astype(np.uint8)
    shares = weights / weights.sum(axis=0)
    return CombinedLabels(
        labels=FrameLabels(values=made.astype(np.float32), source=source),
        weights={name: (float(shares[k, 0]), float(shares[k, 1])) for k, name in enumerate(names)},
        moments={
            (names[i], names[j]): (
                _pair(values[:, i, 0], values[:, j, 0]),
                _pair(values[:, i, 1], values[:, j, 1]),
            )
            for i, j in itertools.combinations(range(len(names)), 2)
        },
    )


def evaluator_weights(values: np.ndarray) -> np.ndarray:
    """(K, 2) weights of K raters by the correlation with their mean. values: (N, K, 2), NaN where missing."""
    mean = _weighted_mean(values, np.ones(values.shape[1:]))
    weights = np.array(
        [[_pair(values[:, k, d], mean[:, d]).pcc for d in range(2)] for k in range(values.shape[1])]
    )
    weights = np.nan_to_num(weights).clip(0.0)
    weights[:, weights.sum(axis=0) == 0] = 1.0
    return weights


def agreement(
    moments: Mapping[Pair, tuple[Moments, Moments]], panel_size: float | None = None
) -> dict[str, Agreement]:
    """Dimension -> agreement of raters. moments: pair of raters -> moments in valence and arousal.

    Cronbach's alpha (1951) is K c / (v + (K - 1) c) with the mean variance v and covariance c of K raters,
    here over the frames that both raters of a pair annotated. NaN where no two raters share a frame.
    panel_size: K, None for the number of all raters. If each video has other raters, K is their mean number
    in a video, since the labels are means over so many.
    """
    panel_size = panel_size or _panel_size(moments)
    made = {}
    for number, dimension in enumerate(VALENCE_AROUSAL):
        pairs = [both[number] for both in moments.values() if both[number].count]
        made[dimension] = Agreement(
            ccc=_mean(pairs, lambda m: m.ccc),
            pcc=_mean(pairs, lambda m: m.pcc),
            alpha=_alpha(pairs, panel_size),
            frames=sum(m.count for m in pairs),
        )
    return made


def _panel_size(moments: Mapping[Pair, tuple[Moments, Moments]]) -> int:
    return len({name for pair in moments for name in pair})


def _alpha(pairs: list[Moments], raters: float) -> float:
    covariance = _mean(pairs, lambda m: m.xy / m.count)
    variance = _mean(pairs, lambda m: (m.xx + m.yy) / (2 * m.count))
    total = variance + (raters - 1) * covariance
    return raters * covariance / total if total else math.nan


def _mean(pairs: list[Moments], score: Callable[[Moments], float]) -> float:
    return sum(map(score, pairs)) / len(pairs) if pairs else math.nan


def _pair(x: np.ndarray, y: np.ndarray) -> Moments:
    both = ~np.isnan(x) & ~np.isnan(y)
    return Moments.of(x[both], y[both])


def _weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(N, 2) means over raters of (N, K, 2) values with (K, 2) weights, NaN where no weight is left."""
    known = ~np.isnan(values)
    total = (known * weights).sum(axis=1)
    summed = (np.nan_to_num(values) * weights).sum(axis=1)
    return np.divide(summed, total, out=np.full_like(summed, np.nan), where=total > 0)
