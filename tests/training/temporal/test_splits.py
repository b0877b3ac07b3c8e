from __future__ import annotations

from dataclasses import dataclass

import pytest

from vacli.errors import UsageError
from vacli.training.temporal.splits import SplitRequest, make_splits


@dataclass(frozen=True)
class Video:
    video: str
    subject: str
    split: str = ""
    frames: int = 100

    def __len__(self) -> int:
        return self.frames


PAIR = [Video("a_left", "a"), Video("a_right", "a")]
FREE = [*PAIR, *(Video(n, n) for n in "bcdefgh")]
OFFICIAL = [Video(v.video, v.subject, "validation" if v.subject in "gh" else "train") for v in FREE]


def test_folds_hold_out_each_video_once_and_share_no_person() -> None:
    splits = make_splits(FREE, SplitRequest(folds=3), seed=1)
    held = [name for split in splits for name in split.fold.validation]
    assert sorted(held) == sorted(v.video for v in FREE)
    for split in splits:
        assert not set(split.fold.train) & set(split.fold.validation)
        assert ("a_left" in split.fold.validation) == ("a_right" in split.fold.validation)


def test_one_fold_equals_that_of_the_whole_cross_validation() -> None:
    splits = make_splits(FREE, SplitRequest(folds=3), seed=1)
    assert make_splits(FREE, SplitRequest(folds=3, fold=2), seed=1) == [splits[1]]
    assert len(make_splits(FREE, SplitRequest(fold=5), seed=1)) == 1


def test_cross_validation_uses_the_training_set_only() -> None:
    splits = make_splits(OFFICIAL, SplitRequest(folds=2), seed=1)
    used = {name for split in splits for name in (*split.fold.train, *split.fold.validation)}
    assert used == {v.video for v in OFFICIAL if v.split == "train"}


@pytest.mark.parametrize("requested", [SplitRequest(), SplitRequest(fold=0)])
def test_official_split_is_the_default(requested: SplitRequest) -> None:
    (split,) = make_splits(OFFICIAL, requested, seed=1)
    assert split.fold.number == 0
    assert split.fold.validation == ("g", "h")
    assert not requested.is_cross_validation


def test_without_official_split_some_people_are_held_out() -> None:
    (split,) = make_splits(FREE, SplitRequest(), seed=1)
    assert "held out by seed 1, because the labels have no split" in split.description
    assert 0 < len(split.fold.validation) < len(FREE) / 2
    assert make_splits(FREE, SplitRequest(), seed=1) == [split]


@pytest.mark.parametrize(
    ("videos", "requested", "words"),
    [
        (FREE, SplitRequest(fold=0), "has no video of the train set"),
        (FREE, SplitRequest(folds=3, fold=4), "--fold 4: there are 3 folds"),
        (PAIR, SplitRequest(), "1 subjects cannot be split into 2"),
        (PAIR, SplitRequest(folds=5), "1 subjects cannot be split into 5"),
    ],
)
def test_impossible_splits_are_usage_errors(videos: list[Video], requested: SplitRequest, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make_splits(videos, requested, seed=1)
