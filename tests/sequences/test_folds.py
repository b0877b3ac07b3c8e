"""No group on both sides, the same folds every time."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vacli.errors import UsageError
from vacli.sequences.folds import group_folds, official_fold, recording

FRAMES = {f"v{i}": 100 + 37 * i % 400 for i in range(40)} | {
    "video59": 500,
    "video59_right": 500,
    "x_left": 300,
    "x_right": 310,
    "10-60-1280x720": 50,
    "10-60-1280x720_right": 60,
}


RECORDINGS = {video: recording(video) for video in FRAMES}


@pytest.mark.parametrize(
    ("video", "expected"),
    [
        ("video59_right", "video59"),
        ("a_left", "a"),
        ("a_left_b", "a_left_b"),
        ("right", "right"),
        ("122-60-1920x1080-3", "122-60-1920x1080-3"),
    ],
)
def test_recording_strips_only_a_trailing_side(video, expected):
    assert recording(video) == expected


@given(st.integers(2, 10), st.integers(0, 50))
def test_folds_partition_the_videos_and_share_no_group(count, seed):
    folds = group_folds(FRAMES, count, seed, RECORDINGS)
    assert [f.number for f in folds] == list(range(1, count + 1))
    assert sorted(v for f in folds for v in f.validation) == sorted(FRAMES)
    for fold in folds:
        assert fold.validation
        assert sorted(fold.train + fold.validation) == sorted(FRAMES)
        assert not {RECORDINGS[v] for v in fold.train} & {RECORDINGS[v] for v in fold.validation}


@given(st.randoms())
def test_folds_do_not_depend_on_the_order_of_videos(rng: random.Random):
    items = list(FRAMES.items())
    rng.shuffle(items)
    assert group_folds(dict(items), 5, 42, RECORDINGS) == group_folds(FRAMES, 5, 42, RECORDINGS)


def test_folds_depend_on_the_seed_and_are_balanced():
    assert group_folds(FRAMES, 5, 1, RECORDINGS) != group_folds(FRAMES, 5, 2, RECORDINGS)
    sizes = [sum(FRAMES[v] for v in f.validation) for f in group_folds(FRAMES, 5, 42, RECORDINGS)]
    assert max(sizes) < 1.25 * min(sizes)


def test_golden_fold():
    # A fold that changes between versions would make published runs incomparable.
    frames = {f"v{i}": 10 for i in range(6)} | {"v0_left": 10}
    fold = group_folds(frames, 3, 42, {video: recording(video) for video in frames})[0]
    assert fold.validation == ("v1", "v2", "v3")


def test_videos_of_one_subject_stay_together():
    subjects = {v: v[0] for v in ("a1", "a2", "b1", "b2", "c1")}
    folds = group_folds(dict.fromkeys(subjects, 10), 3, 0, subjects)
    assert sorted(f.validation for f in folds) == [("a1", "a2"), ("b1", "b2"), ("c1",)]


def test_more_folds_than_groups_are_refused():
    with pytest.raises(UsageError, match=r"3 videos in 2 groups .* cannot be split into 3 folds"):
        group_folds({"a_left": 5, "a_right": 5, "b": 5}, 3, 0, {"a_left": "a", "a_right": "a", "b": "b"})


def test_official_fold():
    fold = official_fold({"b": "train", "a": "train", "c": "validation", "d": "test", "e": ""})
    assert (fold.number, fold.train, fold.validation) == (0, ("a", "b"), ("c",))


def test_official_fold_needs_both_sets():
    with pytest.raises(UsageError, match="validation set"):
        official_fold({"a": "train"})
