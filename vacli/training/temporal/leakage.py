"""Notes on subjects, recordings and encoder frames that training and held-out videos share."""

from __future__ import annotations

from collections.abc import Sequence

from vacli.sequences.grouping import Grouping
from vacli.sequences.stored import StoredSequence
from vacli.training.temporal.splits import OFFICIAL_BASIS, DataSplit

MAX_NAMED = 3


def split_note(split: DataSplit, grouping: Grouping) -> str:
    """How the split keeps people apart, "" where there is nothing to note."""
    if split.basis == "video":
        return "Held out by video: no subjects are known, so a person may be in training and held-out videos."
    if split.basis == "subject":
        return f"Held out by subject: {len(set(grouping.subjects.values()))} subjects, none on both sides."
    return ""


def shared_subjects_note(split: DataSplit, grouping: Grouping) -> str:
    """The subjects on both sides of an official split, "" if there are none."""
    shared = grouping.shared_subjects(split.fold.train, split.fold.validation)
    if split.basis != OFFICIAL_BASIS or not shared:
        return ""
    return (
        f"{len(shared)} subjects are in both the training and the held-out videos of the official split "
        f"({_named(shared)}); the scores are too high for new people."
    )


def encoder_note(
    held_out: Sequence[StoredSequence], videos: Sequence[StoredSequence], grouping: Grouping
) -> str:
    """The held-out videos whose person or recording the encoder was fine-tuned on, "" if there are none.

    videos: all labelled videos of the store, which may show the same people.
    """
    groups = {grouping.groups[v.video] for v in videos if v.encoder_use}
    seen = [v.video for v in held_out if v.encoder_use or grouping.groups[v.video] in groups]
    if not seen:
        return ""
    return (
        f"The encoder was fine-tuned on the {grouping.basis} of {len(seen)} of {len(held_out)} held-out "
        f"videos ({_named(seen)}); their scores are too high."
    )


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:MAX_NAMED]) + (", ..." if len(names) > MAX_NAMED else "")
