from __future__ import annotations

from dataclasses import dataclass

import pytest

from vacli.errors import UsageError
from vacli.training.temporal.splits import Wish, divide


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


def test_folds_hold_everybody_out_once_and_nobody_is_on_both_sides() -> None:
    sides = divide(FREE, Wish(folds=3), seed=1)
    held = [name for side in sides for name in side.fold.validation]
    assert sorted(held) == sorted(v.video for v in FREE)
    for side in sides:
        assert not set(side.fold.train) & set(side.fold.validation)
        assert ("a_left" in side.fold.validation) == ("a_right" in side.fold.validation)


def test_one_fold_is_one_of_them() -> None:
    sides = divide(FREE, Wish(folds=3), seed=1)
    assert divide(FREE, Wish(folds=3, fold=2), seed=1) == [sides[1]]
    assert len(divide(FREE, Wish(fold=5), seed=1)) == 1


def test_cross_validation_leaves_the_validation_set_alone() -> None:
    sides = divide(OFFICIAL, Wish(folds=2), seed=1)
    used = {name for side in sides for name in (*side.fold.train, *side.fold.validation)}
    assert used == {v.video for v in OFFICIAL if v.split == "train"}


@pytest.mark.parametrize("wish", [Wish(), Wish(fold=0)])
def test_the_official_split_comes_first(wish: Wish) -> None:
    (side,) = divide(OFFICIAL, wish, seed=1)
    assert side.fold.number == 0
    assert side.fold.validation == ("g", "h")
    assert not wish.crossed


def test_without_a_split_some_people_are_held_out_and_it_is_said() -> None:
    (side,) = divide(FREE, Wish(), seed=1)
    assert "held out by seed 1, as the labels name no split" in side.words
    assert 0 < len(side.fold.validation) < len(FREE) / 2
    assert divide(FREE, Wish(), seed=1) == [side]


@pytest.mark.parametrize(
    ("videos", "wish", "words"),
    [
        (FREE, Wish(fold=0), "no video of the store is in the train set"),
        (FREE, Wish(folds=3, fold=4), "fold 4 of 3"),
        (PAIR, Wish(), "2 folds of 1"),
        (PAIR, Wish(folds=5), "5 folds of 1"),
    ],
)
def test_what_cannot_be_divided_is_refused(videos: list[Video], wish: Wish, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        divide(videos, wish, seed=1)
