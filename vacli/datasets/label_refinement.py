"""Filling and repair of valence and arousal labels with the annotated expressions of the same frames.

Both papers refine training labels "inspired by Wang et al." (IET Image Processing 18:914-925, 2024),
whose formula is not public. This is our interpretation: class statistics of the training set fill
missing labels, and optionally replace labels that contradict both the statistics and their neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from vacli.clock import interpolate
from vacli.datasets.annotations import FROM_EXPRESSION, INTERPOLATED, NOT_ANNOTATED, REPAIRED, FrameLabels

Mode = Literal["fill", "fill+repair", "off"]
MODES: tuple[Mode, ...] = ("fill", "fill+repair", "off")

GAP_FRAMES = 30  # about a second: shorter gaps are interpolated; also the decay of the neighbours' weight
MIN_FRAMES = 100  # rarer classes have no statistics
SHRINKAGE = 0.1  # of a class's covariance towards a circle of the same size
DISTANCE2 = 13.816  # 0.999 quantile of chi-square with 2 degrees of freedom
JUMP = 0.3  # distance in the VA plane from the running median
MEDIAN_FRAMES = 2 * GAP_FRAMES + 1
MAX_REPAIRED = 0.02  # of a video's annotated frames
EXCLUDED_CLASS = "Other"  # it has no place in the VA plane


@dataclass(frozen=True, eq=False)
class ClassStatistics:
    """Per expression class the mean (C, 2) and covariance (C, 2, 2) of (valence, arousal).

    known: (C,) bool, False for classes without usable statistics.
    """

    mean: np.ndarray
    covariance: np.ndarray
    known: np.ndarray

    def has_statistics(self, expression: np.ndarray) -> np.ndarray:
        """Whether the (N,) classes, -1 where not annotated, have statistics. Returns: (N,) bool."""
        return (expression >= 0) & self.known[expression.clip(0)]

    def distance2(self, values: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """Squared Mahalanobis distance (N,) of (N, 2) values to their class; all must have statistics."""
        away = values - self.mean[expression]
        return np.einsum("ni,nij,nj->n", away, np.linalg.inv(self.covariance)[expression], away)


def fit(pairs: Iterable[tuple[np.ndarray, np.ndarray]], names: tuple[str, ...]) -> ClassStatistics:
    """Statistics of training videos: (N, 2) labels with NaN and (N,) classes with -1, names of classes."""
    seen: list[list[np.ndarray]] = [[] for _ in names]
    for values, expression in pairs:
        annotated = ~np.isnan(values).any(axis=1)
        for code in np.unique(expression[annotated & (expression >= 0)]):
            seen[code].append(values[annotated & (expression == code)].astype(np.float64))
    mean, covariance = np.zeros((len(names), 2)), np.tile(np.eye(2), (len(names), 1, 1))
    known = np.array([sum(map(len, s)) >= MIN_FRAMES for s in seen]) & (np.array(names) != EXCLUDED_CLASS)
    for code in np.flatnonzero(known):
        values = np.concatenate(seen[code])
        mean[code] = values.mean(axis=0)
        raw = np.cov(values.T, ddof=0)
        circle = np.eye(2) * max(np.trace(raw) / 2, 1e-6)
        covariance[code] = (1 - SHRINKAGE) * raw + SHRINKAGE * circle
    return ClassStatistics(mean, covariance, known)


def refine(
    labels: FrameLabels, expression: np.ndarray | None, statistics: ClassStatistics, mode: Mode
) -> FrameLabels:
    """Labels of one training video with gaps filled and, with "fill+repair", contradictions replaced.

    expression: (N,) classes, -1 where not annotated, or None. Only rows that the annotation reaches are
    changed; `source` records how.
    """
    if mode == "off":
        return labels
    expression = np.full(len(labels.source), -1) if expression is None else expression
    filled = _fill(labels, labels.source == NOT_ANNOTATED, expression, statistics)
    if mode == "fill":
        return filled
    wrong = _contradictions(filled, expression, statistics)
    without = replace(filled, values=np.where(wrong[:, None], np.float32(np.nan), filled.values))
    repaired = _fill(without, wrong, expression, statistics)
    return replace(repaired, source=np.where(wrong, REPAIRED, filled.source).astype(np.uint8))


def _fill(
    labels: FrameLabels, wanted: np.ndarray, expression: np.ndarray, statistics: ClassStatistics
) -> FrameLabels:
    known = np.flatnonzero(~np.isnan(labels.values).any(axis=1))
    values, source = labels.values.copy(), labels.source.copy()
    frames = np.flatnonzero(wanted)
    if not len(known) or not len(frames):
        return labels
    right = np.searchsorted(known, frames)
    after, before = known[right.clip(max=len(known) - 1)], known[(right - 1).clip(0)]
    enclosed = (right > 0) & (right < len(known))
    short = enclosed & (after - before - 1 <= GAP_FRAMES)
    values[frames[short]] = interpolate(frames[short], known, labels.values[known])
    source[frames[short]] = INTERPOLATED
    by_class = ~short & statistics.has_statistics(expression[frames])
    to_after = np.where(right < len(known), np.abs(after - frames), np.iinfo(np.int64).max)
    to_before = np.where(right > 0, np.abs(frames - before), np.iinfo(np.int64).max)
    nearest = np.where(to_before <= to_after, before, after)[by_class]
    weight = np.exp(-np.minimum(to_before, to_after)[by_class] / GAP_FRAMES)[:, None]
    centre = statistics.mean[expression[frames[by_class]]]
    values[frames[by_class]] = weight * labels.values[nearest] + (1 - weight) * centre
    source[frames[by_class]] = FROM_EXPRESSION
    return FrameLabels(values=values, source=source)


def _contradictions(labels: FrameLabels, expression: np.ndarray, statistics: ClassStatistics) -> np.ndarray:
    """Frames far from their class and from the running median; the worst where there are too many."""
    from scipy.ndimage import median_filter

    known = np.flatnonzero(~np.isnan(labels.values).any(axis=1))
    wrong = np.zeros(len(labels.source), bool)
    values = labels.values[known].astype(np.float64)
    median = median_filter(values, size=(MEDIAN_FRAMES, 1), mode="nearest")
    jumps = np.linalg.norm(values - median, axis=1) > JUMP
    candidates = known[jumps & statistics.has_statistics(expression[known])]
    distance2 = statistics.distance2(labels.values[candidates], expression[candidates])
    worst = np.argsort(-distance2, kind="stable")[: int(MAX_REPAIRED * len(known))]
    wrong[candidates[worst[distance2[worst] > DISTANCE2]]] = True
    return wrong
