"""The training and validation frames of an encoder: chosen, labelled and recorded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vacli.datasets.subjects import Subjects
from vacli.errors import UsageError
from vacli.features.encoder_frames import EncoderFrames, UsedFrames
from vacli.sequences.grouping import Grouping, group_videos, identity_among_stores, key_among_stores
from vacli.sequences.labels import annotated_labels, read_annotation, training_labels
from vacli.store import VideoView
from vacli.training.encoder.frames import Frames, FrameSampling, FrameSource, sample
from vacli.training.encoder.splits import EncoderSplit, EncoderSplitRequest, split_videos

MAX_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class FrameSelection:
    """Which frames of which videos are used.

    listed: video -> the only training frames, ascending. Validation videos without a listed frame use all
    their frames. subjects: replace the subjects of the labels.
    """

    sampling: FrameSampling
    split: EncoderSplitRequest
    listed: Mapping[str, np.ndarray] | None = None
    subjects: Subjects | None = None


@dataclass(frozen=True, eq=False)
class SelectedFrames:
    """The frames, their record, a description of the split, and a warning about it ("" without one)."""

    train: Frames
    val: Frames
    record: EncoderFrames
    description: str
    warning: str

    def digests(self) -> dict[str, str]:
        """The digests of the frames (`Frames.digest`), which a run must have to continue or to be skipped."""
        return {"train": self.train.digest(), "validation": self.val.digest()}


def select_frames(views: Sequence[VideoView], selection: FrameSelection) -> SelectedFrames:
    """Split the videos and select their frames.

    Training labels are refined from the training videos only; validation labels are as annotated.
    Raises UsageError, StoreError or LabelError.
    """
    identities = [identity_among_stores(view, selection.subjects) for view in views]
    grouping = group_videos(identities, by_subject=selection.subjects is not None)
    split = split_videos(views, grouping, selection.split)
    listed = _resolved(selection.listed, views)
    labelled = selection.sampling.labelled
    targets: Sequence[np.ndarray | None] = [None] * len(split.train)
    if labelled:
        targets = training_labels([read_annotation(view) for view in split.train])
    nothing = None if listed is None else np.empty(0, np.int64)
    train = sample(
        [
            FrameSource(view, labels, (listed or {}).get(key_among_stores(view), nothing))
            for view, labels in zip(split.train, targets, strict=True)
        ],
        selection.sampling,
    )
    val = sample(
        [
            FrameSource(
                view, annotated_labels(view) if labelled else None, (listed or {}).get(key_among_stores(view))
            )
            for view in split.validation
        ],
        selection.sampling,
    )
    record = EncoderFrames(train=_used(train, grouping), validation=_used(val, grouping))
    return SelectedFrames(train, val, record, _description(split, grouping), _warning(split, grouping))


def _resolved(
    listed: Mapping[str, np.ndarray] | None, views: Sequence[VideoView]
) -> dict[str, np.ndarray] | None:
    """The listed frames by the key of the video.

    Raises UsageError for a video or a frame that the stores do not have, and for an id that several have.
    """
    if listed is None:
        return None
    by_id: dict[str, list[VideoView]] = defaultdict(list)
    for view in views:
        by_id[view.id].append(view)
    found: dict[str, np.ndarray] = {}
    for name, rows in listed.items():
        video = name if name in by_id else Path(name).stem
        if video not in by_id:
            raise UsageError(
                f"--frame-list: no usable video is called {name}", hint="check the names in its column video"
            )
        view, *others = by_id[video]
        if others:
            stores = ", ".join(str(one.path.parent) for one in by_id[video])
            raise UsageError(
                f"--frame-list: {len(others) + 1} stores have a video {video} ({stores})",
                hint="fine-tune on one of these stores, or align one again with file names of its own",
            )
        if rows[-1] >= len(view.times_s):
            raise UsageError(
                f"--frame-list: {video} has no frame {rows[-1]}, only {len(view.times_s)} frames",
                hint="frames are counted from 0",
            )
        key = key_among_stores(view)
        found[key] = np.union1d(found.get(key, rows), rows)  # its id and its file name may be listed
    return found


def _used(frames: Frames, grouping: Grouping) -> tuple[UsedFrames, ...]:
    return tuple(
        UsedFrames(
            video=view.id,
            sha256=str(view.source.get("sha256") or ""),
            subject=grouping.subjects.get(key_among_stores(view), ""),
            rows=frames.row[frames.video == number],
        )
        for number, view in enumerate(frames.views)
    )


def _description(split: EncoderSplit, grouping: Grouping) -> str:
    counts = f"{len(split.train)} training videos, {len(split.validation)} validation videos"
    return f"{counts}, {'as given' if split.is_given else f'held out by {grouping.basis}'}"


def _warning(split: EncoderSplit, grouping: Grouping) -> str:
    shared = grouping.shared_subjects(
        map(key_among_stores, split.train), map(key_among_stores, split.validation)
    )
    if not shared:
        return ""
    names = ", ".join(shared[:MAX_NAMED]) + (", ..." if len(shared) > MAX_NAMED else "")
    return f"{len(shared)} subjects are in both the training and the validation videos ({names})"
