"""The training data of `va finetune-mae`: the selected frames of its stores, and their images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vacli.datasets.frame_list import read_frame_list
from vacli.datasets.subjects import from_options
from vacli.errors import UsageError
from vacli.progress import Progress
from vacli.runtime.concurrency import n_cores
from vacli.store import Store, VideoView
from vacli.training.encoder.frames import FrameSampling, Images, in_memory
from vacli.training.encoder.objective import Objective
from vacli.training.encoder.selection import FrameSelection, SelectedFrames, select_frames
from vacli.training.encoder.splits import EncoderSplitRequest
from vacli.training.encoder.task import FrameData

if TYPE_CHECKING:
    from vacli.steps.finetune_mae import FinetuneMaeSettings


def select(settings: FinetuneMaeSettings) -> SelectedFrames:
    """The training and validation frames; UsageError, StoreError or LabelError where there are none."""
    labelled = settings.objective == "va"
    views = [view for path in settings.stores for view in Store.open(path).videos()]
    views = [view for view in views if _is_usable(view, labelled)]
    if not views:
        required = "face crops and labels" if labelled else "face crops"
        names = ", ".join(str(path) for path in settings.stores)
        raise UsageError(
            f"{names}: no video has {required}", hint="run `va align` and `va import-labels` first"
        )
    selection = FrameSelection(
        sampling=FrameSampling(
            stride=settings.frame_stride, max_per_video=settings.max_frames_per_video, labelled=labelled
        ),
        split=EncoderSplitRequest(
            validation=settings.validation,
            share=settings.validation_share,
            exclude=settings.exclude,
            exclude_subjects=settings.exclude_subjects,
            seed=settings.seed,
        ),
        listed=None if settings.frame_list is None else read_frame_list(settings.frame_list),
        subjects=from_options(settings.subjects, settings.subject_pattern),
    )
    return select_frames(views, selection)


def images(selected: SelectedFrames, objective: Objective, progress: Progress) -> FrameData:
    """The images of the frames, in memory if the objective reduces them."""
    frames = (selected.train, selected.val)
    if objective.reduce is None:
        return FrameData(*map(Images, frames))
    return FrameData(*(in_memory(part, objective.reduce, n_cores(), progress) for part in frames))


def _is_usable(view: VideoView, labelled: bool) -> bool:
    return view.has_crops() and (not labelled or view.has("label/valence"))
