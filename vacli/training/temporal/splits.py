"""Which videos a run learns from and which judge it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from vacli.errors import UsageError
from vacli.sequences.folds import Fold, official_fold, subject_folds

DEFAULT_FOLDS = 5
OFFICIAL = 0  # the number of the official split, as the papers count


class Entry(Protocol):
    """What must be known of a video to put it on a side."""

    @property
    def video(self) -> str: ...
    @property
    def split(self) -> str: ...
    @property
    def subject(self) -> str: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Wish:
    """`folds`: cross-validation of so many; `fold`: only that one, OFFICIAL the labels' own split."""

    folds: int | None = None
    fold: int | None = None

    @property
    def crossed(self) -> bool:
        """Whether the run is one of cross-validation."""
        return self.folds is not None or self.fold not in (None, OFFICIAL)


@dataclass(frozen=True)
class Side:
    """One way to divide the videos, and in words how it was found."""

    fold: Fold
    words: str


def divide(videos: Sequence[Entry], wish: Wish, seed: int) -> list[Side]:
    """The sides of every model that is to be trained; nobody is on both sides of one.

    Cross-validation is over the training set where the labels name one, as in LightMamba IV.D, so that
    the validation set stays unseen. Without a wish: the official split, or else a seeded fifth held out.
    """
    splits = {v.video: v.split for v in videos}
    official = {"train", "validation"} <= set(splits.values())
    if wish.crossed:
        return _crossed(_pool(videos), wish, seed)
    if official or wish.fold == OFFICIAL:
        return [Side(official_fold(splits), "the official split")]
    folds = _folds(videos, min(DEFAULT_FOLDS, max(2, len({v.subject for v in videos}))), seed)
    return [Side(folds[0], f"1 in {len(folds)} people held out by seed {seed}, as the labels name no split")]


def _pool(videos: Sequence[Entry]) -> Sequence[Entry]:
    training = [v for v in videos if v.split == "train"]
    return training or videos


def _crossed(videos: Sequence[Entry], wish: Wish, seed: int) -> list[Side]:
    count = wish.folds or DEFAULT_FOLDS
    if wish.fold is not None and not 1 <= wish.fold <= count:
        raise UsageError(
            f"fold {wish.fold} of {count}", hint=f"give 1 to {count}, or 0 for the official split"
        )
    folds = _folds(videos, count, seed)
    chosen = folds if wish.fold is None else [folds[wish.fold - 1]]
    return [Side(f, f"fold {f.number} of {count}, by people, seed {seed}") for f in chosen]


def _folds(videos: Sequence[Entry], count: int, seed: int) -> tuple[Fold, ...]:
    frames = {v.video: len(v) for v in videos}
    return subject_folds(frames, count, seed, {v.video: v.subject for v in videos})
