"""Training and validation videos of each model of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from vacli.errors import UsageError
from vacli.sequences.folds import Fold, group_folds, official_fold
from vacli.sequences.grouping import Basis, Grouping

DEFAULT_FOLDS = 5
OFFICIAL = 0  # number of the official split in the papers
OFFICIAL_BASIS: Literal["official"] = "official"


class Entry(Protocol):
    """A video with the properties that a split depends on."""

    @property
    def video(self) -> str:
        """The id of the video."""
        ...

    @property
    def split(self) -> str:
        """The split of the labels: train, validation, test, or empty."""
        ...

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
    """Training and validation videos, and a description of how they were chosen.

    basis: "subject" or "video", the groups that the split keeps together; "official" for the labels' split.
    """

    fold: Fold
    description: str
    basis: Basis | Literal["official"]


def make_splits(
    videos: Sequence[Entry], grouping: Grouping, request: SplitRequest, seed: int
) -> list[DataSplit]:
    """One split for each model to train.

    Except for the official split, no group of videos is in both the training and the validation videos.

    Cross-validation uses the training set where the labels name one, as in LightMamba IV.D, so that the
    validation set stays unseen. By default: the official split, or a seeded fifth as validation videos.
    Raises UsageError where the request does not fit the videos.
    """
    splits = {v.video: v.split for v in videos}
    if request.is_cross_validation:
        return _cross_validation(_training_pool(videos), grouping, request, seed)
    if has_official_split(videos) or request.fold == OFFICIAL:
        return [DataSplit(official_fold(splits), "the official split", OFFICIAL_BASIS)]
    groups = {grouping.groups[v.video] for v in videos}
    folds = _folds(videos, grouping, min(DEFAULT_FOLDS, max(2, len(groups))), seed)
    share = f"1 in {len(folds)} held out by {grouping.basis}, seed {seed}"
    return [DataSplit(folds[0], f"{share}, because the labels have no split", grouping.basis)]


def has_official_split(videos: Sequence[Entry]) -> bool:
    """Whether the labels name training and validation videos."""
    return {"train", "validation"} <= {v.split for v in videos}


def _training_pool(videos: Sequence[Entry]) -> Sequence[Entry]:
    training = [v for v in videos if v.split == "train"]
    return training or videos


def _cross_validation(
    videos: Sequence[Entry], grouping: Grouping, request: SplitRequest, seed: int
) -> list[DataSplit]:
    count = request.folds or DEFAULT_FOLDS
    if request.fold is not None and not 1 <= request.fold <= count:
        raise UsageError(
            f"--fold {request.fold}: there are {count} folds",
            hint=f"give 1 to {count}; 0, the official split, is given without --folds",
        )
    folds = _folds(videos, grouping, count, seed)
    chosen = folds if request.fold is None else [folds[request.fold - 1]]
    basis = grouping.basis
    return [DataSplit(f, f"fold {f.number} of {count}, by {basis}, seed {seed}", basis) for f in chosen]


def _folds(videos: Sequence[Entry], grouping: Grouping, count: int, seed: int) -> tuple[Fold, ...]:
    return group_folds({v.video: len(v) for v in videos}, count, seed, grouping.groups)
