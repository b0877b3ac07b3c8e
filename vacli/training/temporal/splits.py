"""Training and validation videos of each model of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from vacli.errors import UsageError
from vacli.sequences.folds import Fold, official_fold, subject_folds

DEFAULT_FOLDS = 5
OFFICIAL = 0  # number of the official split in the papers


class Entry(Protocol):
    """A video with the properties that a split depends on."""

    @property
    def video(self) -> str: ...
    @property
    def split(self) -> str: ...
    @property
    def subject(self) -> str: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True)
class SplitRequest:
    """`folds`: the number of folds. `fold`: train only that one; OFFICIAL is the split of the labels."""

    folds: int | None = None
    fold: int | None = None

    @property
    def is_cross_validation(self) -> bool:
        """Whether the run is a cross-validation or one fold of it."""
        return self.folds is not None or self.fold not in (None, OFFICIAL)


@dataclass(frozen=True)
class DataSplit:
    """Training and validation videos, and a description of how they were chosen."""

    fold: Fold
    description: str


def make_splits(videos: Sequence[Entry], request: SplitRequest, seed: int) -> list[DataSplit]:
    """One split for each model to train; no person is in both the training and the validation videos.

    Cross-validation uses the training set where the labels name one, as in LightMamba IV.D, so that the
    validation set stays unseen. By default: the official split, or a seeded fifth as validation videos.
    Raises UsageError where the request does not fit the videos.
    """
    splits = {v.video: v.split for v in videos}
    if request.is_cross_validation:
        return _cross_validation(_training_pool(videos), request, seed)
    if has_official_split(videos) or request.fold == OFFICIAL:
        return [DataSplit(official_fold(splits), "the official split")]
    folds = _folds(videos, min(DEFAULT_FOLDS, max(2, len({v.subject for v in videos}))), seed)
    share = f"1 in {len(folds)} people held out by seed {seed}"
    return [DataSplit(folds[0], f"{share}, because the labels have no split")]


def has_official_split(videos: Sequence[Entry]) -> bool:
    """Whether the labels name training and validation videos."""
    return {"train", "validation"} <= {v.split for v in videos}


def _training_pool(videos: Sequence[Entry]) -> Sequence[Entry]:
    training = [v for v in videos if v.split == "train"]
    return training or videos


def _cross_validation(videos: Sequence[Entry], request: SplitRequest, seed: int) -> list[DataSplit]:
    count = request.folds or DEFAULT_FOLDS
    if request.fold is not None and not 1 <= request.fold <= count:
        raise UsageError(
            f"--fold {request.fold}: there are {count} folds",
            hint=f"give 1 to {count}, or 0 for the official split",
        )
    folds = _folds(videos, count, seed)
    chosen = folds if request.fold is None else [folds[request.fold - 1]]
    return [DataSplit(f, f"fold {f.number} of {count}, by people, seed {seed}") for f in chosen]


def _folds(videos: Sequence[Entry], count: int, seed: int) -> tuple[Fold, ...]:
    frames = {v.video: len(v) for v in videos}
    return subject_folds(frames, count, seed, {v.video: v.subject for v in videos})
