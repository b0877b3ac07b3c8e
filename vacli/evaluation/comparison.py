"""Paired comparison of two models on the videos that both were not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vacli.errors import LabelError, UsageError
from vacli.evaluation.evaluator import Evaluation
from vacli.evaluation.predictions import LabelledTrajectory
from vacli.evaluation.score import DIMENSIONS, Score, VideoScore, interval, resample_videos, resampled_ccc

TIME_TOLERANCE_S = 1e-6


@dataclass(frozen=True, kw_only=True)
class Difference:
    """CCC of two models on the same frames, and the first minus the second.

    interval: 95 % percentile interval of the difference over resamples of videos. share_above_0: share of
    the resamples in which the first is better; equal ones count half. Both are None below two videos.
    """

    first: float
    second: float
    interval: tuple[float, float] | None
    share_above_0: float | None

    @property
    def value(self) -> float:
        """The first minus the second."""
        return self.first - self.second


@dataclass(frozen=True, kw_only=True)
class Group:
    """The differences by dimension on one group of videos: all common ones, or those of one fold.

    resampled: what the intervals are resampled over, people or videos.
    """

    name: str
    videos: int
    frames: int
    resampled: str
    differences: Mapping[str, Difference]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The differences of two models on all common held-out videos, and fold by fold if their folds agree.

    only_first, only_second: the numbers of videos that only one of the two is scored on. notes: those of
    both models.
    """

    first: str
    second: str
    groups: tuple[Group, ...]
    only_first: int
    only_second: int
    notes: tuple[str, ...] = ()


def compare(first: Evaluation, second: Evaluation) -> Comparison:
    """Compare two models on the common videos of their scores; of a video, on frames that both predict.

    The scored videos of a cross-validation are those of all folds joined, each predicted by the model that
    was not trained on it. Videos are resampled with the same draws for both models (paired bootstrap, Efron
    and Tibshirani 1993, chapter 16), because the frames of a video are not independent.
    Raises UsageError if there is no common video, LabelError if a video has other frames or labels.
    """
    (result, own), (other_result, other) = first, second
    theirs = {trajectory.video: trajectory for trajectory in other}
    scored = [_paired(t, theirs[t.video]) for t in own if t.video in theirs]
    pairs = {pair[0].video: pair for pair in scored if pair[0].frames}
    if not pairs:
        raise UsageError(
            f"{result.name} and {other_result.name} have no common held-out video",
            hint="train both with the same split and seed, or compare them on another split with --split",
        )
    groups = [_group("all common videos", list(pairs.values()))]
    for name, videos in _common_folds(result.scores, other_result.scores):
        groups.append(_group(name, [pairs[video] for video in videos if video in pairs]))
    return Comparison(
        first=result.name,
        second=other_result.name,
        groups=tuple(group for group in groups if group.videos),
        only_first=len(result.videos - pairs.keys()),
        only_second=len(other_result.videos - pairs.keys()),
        notes=tuple(f"{r.name}: {note}" for r in (result, other_result) for note in r.notes),
    )


def _paired(first: LabelledTrajectory, second: LabelledTrajectory) -> tuple[VideoScore, VideoScore]:
    """The scores of one video on the frames that both predict."""
    if len(first.times_s) != len(second.times_s) or not np.allclose(
        first.times_s, second.times_s, rtol=0, atol=TIME_TOLERANCE_S
    ):
        raise LabelError(
            f"{first.video} has other frame times in the two inputs",
            hint="give one store for both with --store",
        )
    if not np.array_equal(first.labels, second.labels, equal_nan=True):
        raise LabelError(
            f"{first.video} has other labels in the two inputs", hint="give one store for both with --store"
        )
    missing = np.isnan(first.predicted).any(axis=1) | np.isnan(second.predicted).any(axis=1)
    left, right = (
        replace(t, predicted=np.where(missing[:, None], np.nan, t.predicted)).score() for t in (first, second)
    )
    return left, right


def _common_folds(first: Sequence[Score], second: Sequence[Score]) -> list[tuple[str, list[str]]]:
    """The folds that hold out the same videos in both cross-validations."""
    theirs = {score.fold: {v.video for v in score.videos} for score in second if score.fold}
    folds = [score for score in first if score.fold]
    same = [s for s in folds if s.fold and {v.video for v in s.videos} == theirs.get(s.fold)]
    return [(f"fold {s.fold}", [v.video for v in s.videos]) for s in same] if len(folds) > 1 else []


def _group(name: str, pairs: Sequence[tuple[VideoScore, VideoScore]]) -> Group:
    scores = [Score(name=name, videos=tuple(pair[i] for pair in pairs)) for i in range(2)]
    resampled = [_resampled(score) for score in scores]
    differences = {}
    for dimension in DIMENSIONS:
        changes = resampled[0][dimension] - resampled[1][dimension] if all(resampled) else None
        differences[dimension] = Difference(
            first=scores[0].pooled[f"ccc_{dimension}"],
            second=scores[1].pooled[f"ccc_{dimension}"],
            interval=None if changes is None else interval(changes),
            share_above_0=None if changes is None else _share_above_0(changes),
        )
    return Group(
        name=name,
        videos=len(pairs),
        frames=scores[0].frames,
        resampled=scores[0].resampled,
        differences=differences,
    )


def _share_above_0(changes: np.ndarray) -> float:
    """The share of resamples in which the first is better; equal ones count half."""
    return float((np.sign(changes).mean() + 1) / 2)


def _resampled(score: Score) -> dict[str, np.ndarray]:
    """(N_RESAMPLES,) CCC of each resample, by dimension; empty if there is one person or video."""
    draws = resample_videos(score.videos)
    if draws is None:
        return {}
    valence, arousal = (resampled_ccc([v.moments[d] for v in score.videos], draws) for d in range(2))
    return dict(zip(DIMENSIONS, (valence, arousal, (valence + arousal) / 2), strict=True))
