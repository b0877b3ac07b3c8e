"""The training videos of one model, with refined labels and without the frames that trained its encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vacli.errors import UsageError
from vacli.sequences.base import labels_of
from vacli.sequences.labels import training_labels
from vacli.sequences.stored import StoredSequence

MORE_FRAMES = "Fine-tune on fewer frames (--frame-stride), or give --include-encoder-frames."


@dataclass(frozen=True)
class TrainingSet:
    """Training videos. excluded: labelled frames that are left out, because they trained the encoder.

    note: a sentence for people who read the scores, "" without one. warning: the same, for a likely mistake.
    """

    videos: tuple[StoredSequence, ...]
    excluded: int = 0
    note: str = ""
    warning: str = ""


def training_set(videos: Sequence[StoredSequence], exclude: bool | None) -> TrainingSet:
    """The training videos with their labels refined from these videos only.

    exclude: whether frames that trained the encoder have no label (BDCA III-B). None: they have none,
    unless no labelled frame would be left. Raises UsageError if `exclude` leaves no labelled frame.
    """
    labels = training_labels([video.annotation for video in videos])
    refined = tuple(v.with_labels(x) for v, x in zip(videos, labels, strict=True))
    if exclude is False:
        return TrainingSet(refined, note=_included_note(refined, "--include-encoder-frames is given"))
    kept = tuple(v.with_labels(np.where(v.encoder_rows[:, None], np.nan, labels_of(v))) for v in refined)
    total, left = _n_labelled(refined), _n_labelled(kept)
    if total and not left:
        if exclude:
            raise UsageError(
                f"the encoder was fine-tuned on all {total} labelled training frames, so none is left",
                hint="fine-tune it on fewer frames (--frame-stride, --frame-list), or include them",
            )
        return TrainingSet(refined, note=_included_note(refined, "no other labelled frame is left"))
    if total == left:
        return TrainingSet(refined)
    note = f"{total - left} of {total} labelled training frames are left out: they trained the encoder."
    if left < total / 2:
        return TrainingSet(kept, total - left, warning=f"{note} {MORE_FRAMES}")
    return TrainingSet(kept, total - left, note)


def _included_note(videos: Sequence[StoredSequence], reason: str) -> str:
    count = sum(int((v.encoder_rows & _is_labelled(v)).sum()) for v in videos)
    return f"The model is trained on {count} frames that also trained the encoder; {reason}." if count else ""


def _n_labelled(videos: Sequence[StoredSequence]) -> int:
    return sum(int(_is_labelled(video).sum()) for video in videos)


def _is_labelled(video: StoredSequence) -> np.ndarray:
    return np.isfinite(labels_of(video)).all(axis=1)
