"""The paired comparison against a plain loop over resamples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from vacli.errors import LabelError, UsageError
from vacli.evaluation.comparison import compare
from vacli.evaluation.evaluator import Evaluation
from vacli.evaluation.predictions import LabelledTrajectory
from vacli.evaluation.score import N_RESAMPLES, Result, Score
from vacli.metrics import ccc

FRAMES = {f"v{i}": 60 + 30 * i for i in range(6)}


def trajectory(video: str, noise: float, seed: int) -> LabelledTrajectory:
    frames = FRAMES[video]
    labels = np.random.default_rng(frames).normal(frames / 1000, 0.3, (frames, 2)).clip(-1, 1)
    labels[::13] = np.nan
    predicted = 0.7 * np.nan_to_num(labels) + np.random.default_rng(seed + frames).normal(
        0, noise, labels.shape
    )
    times_s = np.arange(frames) / 25
    return LabelledTrajectory(video=video, times_s=times_s, predicted=predicted, labels=labels)


def evaluation(name: str, noise: float, seed: int, folds: Mapping[int | None, list[str]]) -> Evaluation:
    """A model's evaluation. folds: number of the fold -> its held-out videos."""
    scores, trajectories = [], []
    for fold, videos in folds.items():
        group = [trajectory(video, noise, seed) for video in videos]
        trajectories += group
        scores.append(Score(name=f"{name} {fold}", fold=fold, videos=tuple(t.score() for t in group)))
    return Result(name=name, scores=tuple(scores)), trajectories


ALL = list(FRAMES)
FOLDS = {1: ALL[:3], 2: ALL[3:]}


def joined(trajectories: list[LabelledTrajectory], chosen: np.ndarray, dimension: int) -> float:
    """CCC over the frames of the chosen videos, which may repeat."""
    predicted = np.concatenate([trajectories[i].predicted[:, dimension] for i in chosen])
    return ccc(predicted, np.concatenate([trajectories[i].labels[:, dimension] for i in chosen]))


def test_difference_and_interval_equal_those_of_a_plain_loop():
    first, second = evaluation("a", 0.1, 0, {None: ALL}), evaluation("b", 0.4, 9, {None: ALL})
    (group,) = compare(first, second).groups
    # The draws are the same for both models: the comparison is paired.
    draws = np.random.default_rng(0).multinomial(6, np.full(6, 1 / 6), N_RESAMPLES)
    loop = {"valence": [], "arousal": [], "mean": []}
    for draw in draws:
        chosen = np.repeat(np.arange(6), draw)
        changes = [joined(first[1], chosen, d) - joined(second[1], chosen, d) for d in range(2)]
        for name, value in zip(loop, (*changes, sum(changes) / 2), strict=True):
            loop[name].append(value)
    for dimension, name in enumerate(("valence", "arousal")):
        whole = [joined(e[1], np.arange(6), dimension) for e in (first, second)]
        assert (group.differences[name].first, group.differences[name].second) == pytest.approx(tuple(whole))
    for name, changes in loop.items():
        made = group.differences[name]
        assert made.value == pytest.approx(made.first - made.second)
        assert made.interval == pytest.approx(tuple(np.quantile(changes, (0.025, 0.975))), abs=1e-12)
        assert made.share_above_0 == pytest.approx(np.mean(np.array(changes) > 0))
    assert group.frames == sum(len(t.labels) - np.isnan(t.labels[:, 0]).sum() for t in first[1])


def test_a_model_compared_with_itself_has_no_difference():
    one = evaluation("a", 0.2, 0, {None: ALL})
    for difference in compare(one, one).groups[0].differences.values():
        assert (difference.value, difference.interval, difference.share_above_0) == (0, (0, 0), 0.5)


def test_cross_validations_are_compared_joined_and_fold_by_fold():
    first, second = evaluation("a", 0.1, 0, FOLDS), evaluation("b", 0.4, 9, FOLDS)
    whole, *folds = compare(first, second).groups
    assert (whole.name, whole.videos) == ("all common videos", 6)
    assert [(fold.name, fold.videos) for fold in folds] == [("fold 1", 3), ("fold 2", 3)]
    for fold, mine, theirs in zip(folds, first[0].scores, second[0].scores, strict=True):
        assert fold.differences["mean"].first == pytest.approx(mine.pooled["ccc_mean"])
        assert fold.differences["mean"].second == pytest.approx(theirs.pooled["ccc_mean"])


def test_other_folds_are_compared_joined_only():
    first, second = evaluation("a", 0.1, 0, FOLDS), evaluation("b", 0.4, 9, {1: ALL[3:], 2: ALL[:3]})
    (whole,) = compare(first, second).groups
    assert whole.videos == 6


def test_only_common_videos_count():
    first, second = evaluation("a", 0.1, 0, {None: ALL[:4]}), evaluation("b", 0.4, 9, FOLDS)
    made = compare(first, second)
    assert (made.groups[0].videos, made.only_first, made.only_second) == (4, 0, 2)
    with pytest.raises(UsageError, match="a and b have no common held-out video"):
        compare(evaluation("a", 0.1, 0, {None: ALL[:2]}), evaluation("b", 0.4, 9, {None: ALL[2:]}))


def test_one_common_video_has_no_interval():
    (group,) = compare(
        evaluation("a", 0.1, 0, {None: ALL[:1]}), evaluation("b", 0.4, 9, {None: ALL[:2]})
    ).groups
    assert (group.differences["mean"].interval, group.differences["mean"].share_above_0) == (None, None)


def test_frames_that_one_does_not_predict_count_for_neither():
    first, second = evaluation("a", 0.1, 0, {None: ALL[:2]}), evaluation("b", 0.4, 9, {None: ALL[:2]})
    gap = first[1][0].predicted.copy()
    gap[:20] = np.nan
    cut = (first[0], [replace(first[1][0], predicted=gap), first[1][1]])
    group = compare(cut, second).groups[0]
    kept = [t.predicted[20:] if i == 0 else t.predicted for i, t in enumerate(second[1])]
    labels = [t.labels[20:] if i == 0 else t.labels for i, t in enumerate(second[1])]
    wanted = ccc(np.concatenate(kept)[:, 0], np.concatenate(labels)[:, 0])
    assert group.differences["valence"].second == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"times_s": np.arange(60) / 30}, "other frame times"), ({"labels": np.zeros((60, 2))}, "other labels")],
)
def test_other_frames_or_labels_are_refused(change, message):
    first, second = evaluation("a", 0.1, 0, {None: ALL[:1]}), evaluation("b", 0.4, 9, {None: ALL[:1]})
    with pytest.raises(LabelError, match=f"v0 has {message}"):
        compare(first, (second[0], [replace(second[1][0], **change)]))
