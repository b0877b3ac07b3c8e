"""Training and validation videos of an encoder, kept apart by subject or recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch

import numpy as np

from vacli.datasets.subject_name import subject_name
from vacli.errors import UsageError
from vacli.sequences.grouping import Grouping, key_among_stores
from vacli.store import VideoView


@dataclass(frozen=True, kw_only=True)
class EncoderSplitRequest:
    """validation: patterns of ids of validation videos. share: of the groups, where nothing else decides.

    exclude: patterns of ids of videos that are not used. exclude_subjects: people who are not used.
    """

    validation: Sequence[str] = ()
    share: float = 0.1
    exclude: Sequence[str] = ()
    exclude_subjects: Sequence[str] = ()
    seed: int = 42


@dataclass(frozen=True)
class EncoderSplit:
    """Training and validation videos.

    is_given: they are those of the labels or of the patterns, which may separate videos of one group.
    """

    train: tuple[VideoView, ...]
    validation: tuple[VideoView, ...]
    is_given: bool


def split_videos(
    views: Sequence[VideoView], grouping: Grouping, request: EncoderSplitRequest
) -> EncoderSplit:
    """Split videos into training and validation videos.

    Validation videos are those whose ids match a pattern; without patterns those of the labels' own split;
    without such a split a share of the groups. The labels' test split is left out. Raises UsageError where
    one part would be empty, or where nothing that is excluded is there. grouping: of
    `identity_among_stores`, since videos of two stores may have the same id.
    """
    views = [v for v in _included(views, grouping, request) if _split_of(v) != "test"]
    patterns = request.validation
    is_given = bool(patterns) or any(_split_of(v) == "validation" for v in views)
    if patterns:
        held_out = [any(fnmatch(v.id, p) for p in patterns) for v in views]
    elif is_given:
        held_out = [_split_of(v) == "validation" for v in views]
    else:
        groups = _share_of_groups([grouping.groups[key_among_stores(v)] for v in views], request)
        held_out = [grouping.groups[key_among_stores(v)] in groups for v in views]
    train, validation = (
        tuple(v for v, out in zip(views, held_out, strict=True) if out is side) for side in (False, True)
    )
    if patterns and not (train and validation):
        which = "all videos match" if validation else "no video matches"
        raise UsageError(
            f"--validation {' '.join(patterns)}: {which}",
            hint="give patterns of ids, as `va info --json` lists them",
        )
    if not train or not validation:
        raise UsageError(
            f"{len(views)} videos cannot be split into training and validation",
            hint="give more videos, or name the validation videos",
        )
    return EncoderSplit(train, validation, is_given)


def _split_of(view: VideoView) -> str:
    """The split of a video's labels, "" where they name none."""
    return str(view.part_attrs("label").get("split", "")) if view.has("label") else ""


def _included(
    views: Sequence[VideoView], grouping: Grouping, request: EncoderSplitRequest
) -> list[VideoView]:
    subjects: Mapping[str, str] = grouping.subjects
    excluded = set(map(subject_name, request.exclude_subjects))
    unknown = sorted(excluded - set(subjects.values()))
    if unknown:
        raise UsageError(
            f"--exclude-subject {unknown[0]}: no video has this subject",
            hint="check the name; --subjects or the labels name the subjects",
        )
    unused = [p for p in request.exclude if not any(fnmatch(v.id, p) for v in views)]
    if unused:
        raise UsageError(f"--exclude {unused[0]}: no video matches", hint="check the pattern, such as 'P07*'")
    return [
        v
        for v in views
        if not any(fnmatch(v.id, p) for p in request.exclude)
        and subjects.get(key_among_stores(v)) not in excluded
    ]


def _share_of_groups(groups: Sequence[str], request: EncoderSplitRequest) -> set[str]:
    names = sorted(set(groups))
    count = min(max(1, round(request.share * len(names))), len(names) - 1)
    return set(np.random.default_rng(request.seed).permutation(names)[:count].tolist())
