"""Scores of trajectories: over all frames, as in the challenge, for each video, and with intervals."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from vacli.metrics import Moments

METRICS = ("ccc", "pcc", "rmse", "sign_agreement")
DIMENSIONS = ("valence", "arousal", "mean")
N_RESAMPLES = 2000
CONFIDENCE = 0.95
PEOPLE, VIDEOS = "people", "videos"  # what is resampled


@dataclass(frozen=True)
class VideoScore:
    """Moments of valence and arousal over a video's annotated frames.

    missing: annotated frames without a prediction, which the moments leave out. subject: the person in the
    video, "" where unknown.
    """

    video: str
    moments: tuple[Moments, Moments]
    missing: int = 0
    subject: str = ""

    @property
    def frames(self) -> int:
        """Annotated frames with a prediction."""
        return self.moments[0].count


@dataclass(frozen=True)
class Score:
    """One model on one set of videos. fold: its number in a cross-validation."""

    name: str
    videos: tuple[VideoScore, ...]
    fold: int | None = None

    @property
    def frames(self) -> int:
        """Annotated frames with a prediction, of all videos."""
        return sum(video.frames for video in self.videos)

    @property
    def missing(self) -> int:
        """Annotated frames without a prediction."""
        return sum(video.missing for video in self.videos)

    @cached_property
    def pooled(self) -> dict[str, float]:
        """Every metric over the frames of all videos joined, and the mean CCC of videos.

        Keys: `<metric>_<valence|arousal|mean>` for METRICS and for "video_ccc".
        """
        joined = [sum((v.moments[d] for v in self.videos), Moments()) for d in range(2)]
        scores: dict[str, float] = {}
        for metric in METRICS:
            scores |= _by_dimension(metric, *(getattr(m, metric) for m in joined))
        counted = [v for v in self.videos if v.frames]
        scores |= _by_dimension("video_ccc", *(_mean([v.moments[d].ccc for v in counted]) for d in range(2)))
        return scores

    @property
    def resampled(self) -> str:
        """What the intervals are resampled over: "people" or "videos"."""
        return PEOPLE if _are_known([v for v in self.videos if v.frames]) else VIDEOS

    @cached_property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """95 % intervals of the CCCs by the percentile bootstrap (Efron 1979); empty below two units.

        The units are people where all are known, else videos, because the frames of one are not independent.
        The resamples are the same in every call.
        """
        counted = [v for v in self.videos if v.frames]
        resamples = resample_videos(counted)
        if resamples is None:
            return {}
        values = [resampled_ccc([v.moments[d] for v in counted], resamples) for d in range(2)]
        values.append((values[0] + values[1]) / 2)
        return {f"ccc_{name}": interval(x) for name, x in zip(DIMENSIONS, values, strict=True)}


@dataclass(frozen=True)
class FoldMean:
    """Mean and standard deviation (1/(n-1)) of every pooled score over folds."""

    folds: int
    mean: dict[str, float]
    sd: dict[str, float]


def score_video(video: str, preds: np.ndarray, target: np.ndarray, subject: str = "") -> VideoScore:
    """Score preds (T, 2), NaN where missing, against target (T, 2), NaN where not annotated."""
    annotated = ~np.isnan(target).any(axis=1)
    present = ~np.isnan(preds).any(axis=1)
    both = annotated & present
    valence, arousal = (Moments.of(preds[both, d], target[both, d]) for d in range(2))
    missing = int((annotated & ~present).sum())
    return VideoScore(video=video, moments=(valence, arousal), missing=missing, subject=subject)


def fold_mean(scores: Sequence[Score]) -> FoldMean:
    """Mean and deviation over the folds of a cross-validation, two or more."""
    columns = {key: [score.pooled[key] for score in scores] for key in scores[0].pooled}
    return FoldMean(
        folds=len(scores),
        mean={key: statistics.fmean(values) for key, values in columns.items()},
        sd={key: statistics.stdev(values) for key, values in columns.items()},
    )


def _by_dimension(metric: str, valence: float, arousal: float) -> dict[str, float]:
    return dict(
        zip((f"{metric}_{s}" for s in DIMENSIONS), (valence, arousal, (valence + arousal) / 2), strict=True)
    )


def resample_videos(videos: Sequence[VideoScore]) -> np.ndarray | None:
    """(N_RESAMPLES, V) how often each resample has each video; the same in every call.

    The videos of a person are drawn together where all people are known. None below two people or videos.
    """
    names = [v.subject if _are_known(videos) else v.video for v in videos]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    count = len(numbers)
    if count < 2:
        return None
    draws = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), N_RESAMPLES)
    return draws[:, [numbers[name] for name in names]]


def _are_known(videos: Sequence[VideoScore]) -> bool:
    return all(v.subject for v in videos)


def interval(values: np.ndarray) -> tuple[float, float]:
    """The percentile interval of CONFIDENCE of the values of resamples."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, (tail, 1 - tail))
    return float(low), float(high)


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return statistics.fmean(values) if values else math.nan


def resampled_ccc(moments: Sequence[Moments], resamples: np.ndarray) -> np.ndarray:
    """CCC of each resample. resamples: (B, V) how often each video was drawn. Returns: (B,)."""
    count, mean_x, mean_y, xx, yy, xy = (
        np.array([getattr(m, name) for m in moments])
        for name in ("count", "mean_x", "mean_y", "xx", "yy", "xy")
    )
    frames = resamples @ count
    centre_x, centre_y = resamples @ (count * mean_x) / frames, resamples @ (count * mean_y) / frames
    away_x, away_y = mean_x - centre_x[:, None], mean_y - centre_y[:, None]  # (B, V)
    weight = resamples * count
    sum_xx = resamples @ xx + (weight * away_x**2).sum(axis=1)
    sum_yy = resamples @ yy + (weight * away_y**2).sum(axis=1)
    sum_xy = resamples @ xy + (weight * away_x * away_y).sum(axis=1)
    denominator = (sum_xx + sum_yy) / frames + (centre_x - centre_y) ** 2
    return np.divide(2 * sum_xy / frames, denominator, out=np.zeros(len(resamples)), where=denominator > 0)


@dataclass(frozen=True, kw_only=True)
class Result:
    """All scores of one run or one set of predictions, and the cost of the run.

    preset: the preset whose model and features the run has, "" if there is none. changes: values of the
    recipe that differ from that preset, or from the one that it is named after. epoch_s: median seconds of
    a training epoch. gpu_peak_bytes, process_peak_bytes: peak memory of training, of CUDA's allocator or of
    the process. None where unknown. notes: sentences that belong beside the scores.
    """

    name: str
    scores: tuple[Score, ...]
    preset: str = ""
    changes: tuple[str, ...] = ()
    parameters: int | None = None
    epoch_s: float | None = None
    gpu_peak_bytes: int | None = None
    process_peak_bytes: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def folds(self) -> FoldMean | None:
        """Mean over folds 1, 2, ... of a cross-validation, None without one."""
        folds = [score for score in self.scores if score.fold]
        return fold_mean(folds) if len(folds) > 1 else None

    @property
    def best_fold(self) -> Score | None:
        """The fold with the highest mean CCC, None without a cross-validation."""
        folds = [score for score in self.scores if score.fold]
        return max(folds, key=lambda score: score.pooled["ccc_mean"]) if len(folds) > 1 else None

    @property
    def videos(self) -> frozenset[str]:
        """The videos with scored frames, of all scores."""
        return frozenset(v.video for score in self.scores for v in score.videos if v.frames)

    @property
    def ccc(self) -> dict[str, float]:
        """CCC by dimension: the folds' mean, or the one score."""
        pooled = self.folds.mean if self.folds else self.scores[0].pooled
        return {name: pooled[f"ccc_{name}"] for name in DIMENSIONS}


def with_video_notes(results: Sequence[Result]) -> tuple[Result, ...]:
    """The results with a note on each that is scored on other videos than the first one."""
    return tuple(replace(r, notes=(*r.notes, *_video_notes(r, results[0]))) for r in results)


def _video_notes(result: Result, first: Result) -> tuple[str, ...]:
    if result.videos == first.videos:
        return ()
    common = len(result.videos & first.videos)
    return (
        f"scored on {len(result.videos)} videos, of which {first.name} ({len(first.videos)} videos) has "
        f"{common}: compare the two with `va compare`, not in this table",
    )
