"""How good trajectories are: over all frames as the challenge counts, and beside it what that hides."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vacli.metrics import Moments

METRICS = ("ccc", "pcc", "rmse", "sign_agreement")
SIDES = ("valence", "arousal", "mean")
DRAWS = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class VideoScore:
    """Moments of valence and arousal over a video's annotated frames.

    missing: annotated frames that have no prediction, which the moments leave out.
    """

    video: str
    moments: tuple[Moments, Moments]
    missing: int = 0

    @property
    def frames(self) -> int:
        """Frames that count."""
        return self.moments[0].count


@dataclass(frozen=True)
class Score:
    """One model on one set of videos. fold: its number where it is of a cross-validation."""

    name: str
    videos: tuple[VideoScore, ...]
    fold: int | None = None

    @property
    def frames(self) -> int:
        """Frames that count, of all videos."""
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
        joined = [sum((v.moments[side] for v in self.videos), Moments()) for side in range(2)]
        made: dict[str, float] = {}
        for metric in METRICS:
            made |= _sides(metric, *(getattr(m, metric) for m in joined))
        counted = [v for v in self.videos if v.frames]
        made |= _sides("video_ccc", *(_mean([v.moments[side].ccc for v in counted]) for side in range(2)))
        return made

    @cached_property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """95 % intervals of the CCCs, from drawing videos with replacement; empty below two videos.

        Frames of one video are no independent draws, so videos are drawn, not frames. The percentile
        method (Efron 1979), 2000 draws, always the same ones.
        """
        counted = [v for v in self.videos if v.frames]
        if len(counted) < 2:
            return {}
        draws = np.random.default_rng(0).multinomial(
            len(counted), np.full(len(counted), 1 / len(counted)), DRAWS
        )
        sides = [_drawn_ccc([v.moments[side] for v in counted], draws) for side in range(2)]
        sides.append((sides[0] + sides[1]) / 2)
        tail = (1 - LEVEL) / 2
        return {
            f"ccc_{name}": tuple(float(q) for q in np.quantile(values, (tail, 1 - tail)))
            for name, values in zip(SIDES, sides, strict=True)
        }


@dataclass(frozen=True)
class FoldMean:
    """Mean and standard deviation (1/(n-1)) of every pooled figure over folds."""

    folds: int
    mean: dict[str, float]
    sd: dict[str, float]


def score_video(video: str, predicted: np.ndarray, labels: np.ndarray) -> VideoScore:
    """Score (T, 2) predictions, NaN where there is none, against (T, 2) labels, NaN where not annotated."""
    annotated = ~np.isnan(labels).any(axis=1)
    there = ~np.isnan(predicted).any(axis=1)
    both = annotated & there
    moments = tuple(Moments.of(predicted[both, side], labels[both, side]) for side in range(2))
    return VideoScore(video=video, moments=moments, missing=int((annotated & ~there).sum()))


def fold_mean(scores: Sequence[Score]) -> FoldMean:
    """What the folds of a cross-validation give together; at least two scores."""
    columns = {key: [score.pooled[key] for score in scores] for key in scores[0].pooled}
    return FoldMean(
        folds=len(scores),
        mean={key: statistics.fmean(values) for key, values in columns.items()},
        sd={key: statistics.stdev(values) for key, values in columns.items()},
    )


def _sides(metric: str, valence: float, arousal: float) -> dict[str, float]:
    return dict(
        zip((f"{metric}_{s}" for s in SIDES), (valence, arousal, (valence + arousal) / 2), strict=True)
    )


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return statistics.fmean(values) if values else math.nan


def _drawn_ccc(moments: Sequence[Moments], draws: np.ndarray) -> np.ndarray:
    """CCC of each draw of videos. draws: (B, V) how often each video was drawn. Returns: (B,)."""
    count, mean_x, mean_y, xx, yy, xy = (
        np.array([getattr(m, name) for m in moments])
        for name in ("count", "mean_x", "mean_y", "xx", "yy", "xy")
    )
    frames = draws @ count
    centre_x, centre_y = draws @ (count * mean_x) / frames, draws @ (count * mean_y) / frames
    away_x, away_y = mean_x - centre_x[:, None], mean_y - centre_y[:, None]  # (B, V)
    weight = draws * count
    sum_xx = draws @ xx + (weight * away_x**2).sum(axis=1)
    sum_yy = draws @ yy + (weight * away_y**2).sum(axis=1)
    sum_xy = draws @ xy + (weight * away_x * away_y).sum(axis=1)
    spread = (sum_xx + sum_yy) / frames + (centre_x - centre_y) ** 2
    return np.divide(2 * sum_xy / frames, spread, out=np.zeros(len(draws)), where=spread > 0)


@dataclass(frozen=True, kw_only=True)
class Result:
    """All scores of one run or one set of predictions, with what else is known of it.

    preset: the recipe's name, "" for predictions. parameters: None where unknown. epoch_s: median
    seconds of a training epoch. peak_bytes: of training.
    """

    name: str
    scores: tuple[Score, ...]
    preset: str = ""
    parameters: int | None = None
    epoch_s: float | None = None
    peak_bytes: int | None = None

    @property
    def folds(self) -> FoldMean | None:
        """Mean over folds 1, 2, ... where there are several."""
        crossed = [score for score in self.scores if score.fold]
        return fold_mean(crossed) if len(crossed) > 1 else None

    @property
    def ccc(self) -> dict[str, float]:
        """CCC by side: the folds' mean, or the one score."""
        pooled = self.folds.mean if self.folds else self.scores[0].pooled
        return {side: pooled[f"ccc_{side}"] for side in SIDES}
