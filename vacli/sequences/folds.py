"""Folds of training and validation videos that share no group: no subject, or no recording."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from vacli.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Fold:
    """Sorted names of the videos to train on and of those held out; fold 0 is the official split.

    count: the number of folds in the cross-validation that this one is from, None for a single split.
    """

    number: int
    train: tuple[str, ...]
    validation: tuple[str, ...]
    count: int | None = None


def recording(video: str) -> str:
    """The recording of a trial: Aff-Wild2's `_left` and `_right` are two people in one video."""
    return re.sub(r"_(left|right)$", "", video)


def group_folds(
    frames: Mapping[str, int], count: int, seed: int, group_of: Mapping[str, str]
) -> tuple[Fold, ...]:
    """Split videos into `count` folds of similar frame counts; the videos of one group stay together.

    frames: video -> its number of frames. group_of: video -> group, such as its subject or its recording.
    The same names, counts and seed give the same folds, in any order and on any machine.
    Returns folds 1 to `count`. Raises UsageError where there are fewer groups than folds.
    """
    groups: dict[str, list[str]] = {}
    for video in sorted(frames):
        groups.setdefault(group_of[video], []).append(video)
    if not 2 <= count <= len(groups):
        raise UsageError(
            f"{len(frames)} videos in {len(groups)} groups (by subject or recording) cannot be split into "
            f"{count} folds",
            hint="give between 2 folds and one for each group",
        )
    validation: list[list[str]] = [[] for _ in range(count)]
    for group in sorted(groups, key=lambda name: _shuffled(name, seed)):
        lightest = min(validation, key=lambda fold: (sum(frames[v] for v in fold), len(fold)))
        lightest.extend(groups[group])
    return tuple(_fold(i, frames, videos, count) for i, videos in enumerate(validation, 1))


def official_fold(splits: Mapping[str, str]) -> Fold:
    """Fold 0: the training and validation set of the annotation files. splits: video -> split."""
    parts = {
        name: tuple(sorted(v for v, s in splits.items() if s == name)) for name in ("train", "validation")
    }
    for name, videos in parts.items():
        if not videos:
            raise UsageError(
                f"the store has no video of the {name} set",
                hint="import the labels of both sets with `va import-labels`, or use --folds",
            )
    return Fold(number=0, train=parts["train"], validation=parts["validation"])


def _shuffled(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()


def _fold(number: int, frames: Mapping[str, int], validation: list[str], count: int) -> Fold:
    train = tuple(sorted(set(frames) - set(validation)))
    return Fold(number=number, train=train, validation=tuple(sorted(validation)), count=count)
