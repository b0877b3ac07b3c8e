"""Who trains and who is held out: no person on both sides."""

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


def subject(video: str) -> str:
    """The recording behind a trial: Aff-Wild2's `_left` and `_right` are two people of one video."""
    return re.sub(r"_(left|right)$", "", video)


def subject_folds(
    frames: Mapping[str, int], count: int, seed: int, subjects: Mapping[str, str] | None = None
) -> tuple[Fold, ...]:
    """Split videos into `count` folds of similar frame counts, all of one subject together.

    frames: video -> its number of frames. subjects: video -> who is in it; None: as the names tell.
    The same names, counts and seed give the same folds, in whatever order they come and on any machine.
    Returns folds 1 to `count`.
    """
    groups: dict[str, list[str]] = {}
    for video in sorted(frames):
        groups.setdefault(subjects[video] if subjects else subject(video), []).append(video)
    if not 2 <= count <= len(groups):
        raise UsageError(
            f"{count} folds of {len(groups)} subjects", hint="give from 2 folds to one a subject"
        )
    held: list[list[str]] = [[] for _ in range(count)]
    for group in sorted(groups, key=lambda name: _shuffled(name, seed)):
        lightest = min(held, key=lambda fold: (sum(frames[v] for v in fold), len(fold)))
        lightest.extend(groups[group])
    return tuple(_fold(i, frames, videos, count) for i, videos in enumerate(held, 1))


def official_fold(splits: Mapping[str, str]) -> Fold:
    """Fold 0: what the annotation files call training and validation set; video -> split."""
    parts = {
        name: tuple(sorted(v for v, s in splits.items() if s == name)) for name in ("train", "validation")
    }
    for name, videos in parts.items():
        if not videos:
            raise UsageError(
                f"no video of the store is in the {name} set",
                hint="give the folder that holds both sets to `va import-labels`, or use --folds",
            )
    return Fold(number=0, **parts)


def _shuffled(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()


def _fold(number: int, frames: Mapping[str, int], validation: list[str], count: int) -> Fold:
    train = tuple(sorted(set(frames) - set(validation)))
    return Fold(number=number, train=train, validation=tuple(sorted(validation)), count=count)
