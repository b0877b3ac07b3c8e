from __future__ import annotations

from dataclasses import dataclass

import pytest

from vacli.errors import UsageError
from vacli.sequences.grouping import VideoIdentity, group_videos
from vacli.training.temporal.splits import DataSplit, SplitRequest, make_splits


@dataclass(frozen=True)
class Video:
    video: str
    split: str = ""
    frames: int = 100

    def __len__(self) -> int:
        return self.frames


PAIR = [Video("a_left"), Video("a_right")]
FREE = [*PAIR, *(Video(n) for n in "bcdefgh")]
OFFICIAL = [Video(v.video, "validation" if v.video in "gh" else "train") for v in FREE]
GROUPING = group_videos(VideoIdentity(v.video) for v in FREE)


def split(videos: list[Video], request: SplitRequest, seed: int = 1) -> list[DataSplit]:
    return make_splits(videos, GROUPING, request, seed)


def test_folds_hold_out_each_video_once_and_share_no_recording() -> None:
    splits = split(FREE, SplitRequest(folds=3))
    held = [name for s in splits for name in s.fold.validation]
    assert sorted(held) == sorted(v.video for v in FREE)
    for s in splits:
        assert not set(s.fold.train) & set(s.fold.validation)
        assert ("a_left" in s.fold.validation) == ("a_right" in s.fold.validation)


def test_one_fold_equals_that_of_the_whole_cross_validation() -> None:
    splits = split(FREE, SplitRequest(folds=3))
    assert split(FREE, SplitRequest(folds=3, fold=2)) == [splits[1]]
    assert len(split(FREE, SplitRequest(fold=5))) == 1


def test_cross_validation_uses_the_training_set_only() -> None:
    splits = split(OFFICIAL, SplitRequest(folds=2))
    used = {name for s in splits for name in (*s.fold.train, *s.fold.validation)}
    assert used == {v.video for v in OFFICIAL if v.split == "train"}


@pytest.mark.parametrize("requested", [SplitRequest(), SplitRequest(fold=0)])
def test_official_split_is_the_default(requested: SplitRequest) -> None:
    (made,) = split(OFFICIAL, requested)
    assert (made.fold.number, made.basis) == (0, "official")
    assert made.fold.validation == ("g", "h")
    assert not requested.is_cross_validation


def test_without_official_split_some_recordings_are_held_out() -> None:
    (made,) = split(FREE, SplitRequest())
    assert "held out by video, seed 1, because the labels have no split" in made.description
    assert 0 < len(made.fold.validation) < len(FREE) / 2
    assert split(FREE, SplitRequest()) == [made]


@pytest.mark.parametrize("basis", ["video", "subject"])
def test_the_description_names_the_basis_of_the_split(basis: str) -> None:
    subject = "s{}" if basis == "subject" else ""
    identities = (VideoIdentity(v.video, subject=subject.format(i // 2)) for i, v in enumerate(FREE))
    request = SplitRequest(folds=3, fold=1)
    (made,) = make_splits(FREE, group_videos(identities), request, seed=7)
    assert made.description == f"fold 1 of 3, by {basis}, seed 7"
    assert made.basis == basis


@pytest.mark.parametrize(
    ("videos", "requested", "words"),
    [
        (FREE, SplitRequest(fold=0), "has no video of the train set"),
        (FREE, SplitRequest(folds=3, fold=4), "--fold 4: there are 3 folds"),
        (PAIR, SplitRequest(), "2 videos in 1 groups .* cannot be split into 2"),
        (PAIR, SplitRequest(folds=5), "2 videos in 1 groups .* cannot be split into 5"),
    ],
)
def test_impossible_splits_are_usage_errors(videos: list[Video], requested: SplitRequest, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        split(videos, requested)
