"""Scores against direct formulas; intervals against a plain loop."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vacli.evaluation.score import N_RESAMPLES, Score, fold_mean, score_video
from vacli.metrics import ccc, pcc, rmse


def made(video: str, seed: int, frames: int = 200, bias: float = 0.1) -> tuple[str, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.normal(0.1 * seed, 0.3, (frames, 2)).clip(-1, 1).astype(np.float32)
    predicted = (0.7 * labels + bias + rng.normal(0, 0.1, labels.shape)).astype(np.float32)
    labels[::11] = np.nan
    return video, predicted, labels


@pytest.fixture
def parts():
    return [made(f"v{i}", i, 100 + 50 * i) for i in range(5)]


@pytest.fixture
def score(parts) -> Score:
    return Score(name="run", videos=tuple(score_video(*p) for p in parts))


def test_pooled_scores_are_over_joined_frames(parts, score):
    predicted, labels = (np.concatenate([p[i] for p in parts]) for i in (1, 2))
    for side, name in enumerate(("valence", "arousal")):
        for metric, formula in (("ccc", ccc), ("pcc", pcc), ("rmse", rmse)):
            wanted = formula(predicted[:, side], labels[:, side])
            assert score.pooled[f"{metric}_{name}"] == pytest.approx(wanted, abs=1e-12)
        of_videos = np.mean([ccc(p[1][:, side], p[2][:, side]) for p in parts])
        assert score.pooled[f"video_ccc_{name}"] == pytest.approx(of_videos, abs=1e-12)
        assert abs(of_videos - score.pooled[f"ccc_{name}"]) > 0.01  # the two differ for this data
    mean = (score.pooled["ccc_valence"] + score.pooled["ccc_arousal"]) / 2
    assert score.pooled["ccc_mean"] == pytest.approx(mean)
    assert score.frames == np.sum(~np.isnan(labels[:, 0]))


def test_intervals_equal_those_of_a_plain_loop(parts, score):
    draws = np.random.default_rng(0).multinomial(5, np.full(5, 0.2), N_RESAMPLES)[:300]
    loop = []
    for draw in draws:
        chosen = np.repeat(np.arange(5), draw)
        predicted, labels = (np.concatenate([parts[i][k] for i in chosen]) for k in (1, 2))
        loop.append(ccc(predicted[:, 0], labels[:, 0]))
    from vacli.evaluation import score as module

    ours = module.resampled_ccc([v.moments[0] for v in score.videos], draws)
    np.testing.assert_allclose(ours, loop, atol=1e-12)
    low, high = score.intervals["ccc_valence"]
    assert low < score.pooled["ccc_valence"] < high


def test_videos_of_a_person_are_resampled_together(parts, score):
    people = ("a", "b", "a", "b", "c")
    by_person = Score("run", tuple(score_video(*p, person) for p, person in zip(parts, people, strict=True)))
    joined = []
    for person in "abc":
        own = [p for p, name in zip(parts, people, strict=True) if name == person]
        joined.append(score_video(person, *(np.concatenate([p[i] for p in own]) for i in (1, 2))))
    assert (by_person.resampled, score.resampled) == ("people", "videos")
    for name, (low, high) in Score("run", tuple(joined)).intervals.items():
        assert by_person.intervals[name] == pytest.approx((low, high), abs=1e-9)
        assert by_person.intervals[name] != score.intervals[name]
    one = tuple(score_video(*p, "a") for p in parts)
    assert Score("run", one).intervals == {}
    assert Score("run", (*one[:-1], score.videos[-1])).resampled == "videos"  # of one the person is unknown


def test_intervals_need_two_videos(score):
    assert Score(name="x", videos=score.videos[:1]).intervals == {}


def test_missing_predictions_are_counted():
    video, predicted, labels = made("v", 1)
    predicted[:20] = np.nan
    made_score = score_video(video, predicted, labels)
    assert made_score.missing == 18  # of the first 20 frames 0 and 11 are not annotated
    assert made_score.moments[0].ccc == pytest.approx(ccc(predicted[20:, 0], labels[20:, 0]))


def test_video_without_annotation_is_ignored(score):
    empty = score_video("none", np.zeros((5, 2)), np.full((5, 2), np.nan))
    more = Score(name="x", videos=(*score.videos, empty))
    assert more.pooled == score.pooled
    assert math.isnan(Score(name="y", videos=(empty,)).pooled["ccc_mean"])


def test_fold_mean(score):
    other = Score(name="b", videos=score.videos[:3])
    both = fold_mean([score, other])
    values = [s.pooled["ccc_valence"] for s in (score, other)]
    assert both.mean["ccc_valence"] == pytest.approx(np.mean(values))
    assert both.sd["ccc_valence"] == pytest.approx(np.std(values, ddof=1))
