"""Settings of `va train` that depend on the store or on the run that the training starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vacli.datasets.subjects import from_options
from vacli.errors import StoreError, UsageError
from vacli.files.run_directory import FOLD_PREFIX
from vacli.progress import Progress
from vacli.recipe.presets import preset
from vacli.recipe.schema import Freeze, Recipe
from vacli.sequences.grouping import Grouping, group_videos, identity
from vacli.sequences.stored import StoredSequence
from vacli.spec import VISUAL
from vacli.store import Store, VideoView
from vacli.training.temporal import adaptation
from vacli.training.temporal.splits import DEFAULT_FOLDS, SplitRequest, has_official_split

if TYPE_CHECKING:
    from vacli.steps.train import TrainSettings

DEFAULT_PRESET = "compact"
DEFAULT_FREEZE: Freeze = "all-but-head"  # few videos cannot train more


def base_recipe(settings: TrainSettings) -> Recipe:
    """The preset, or with `init` the recipe of the run to start from."""
    if settings.init is None:
        if settings.freeze is not None:
            raise UsageError("--freeze needs a run to start from", hint="name it with --init")
        return preset(settings.preset or DEFAULT_PRESET)
    if settings.preset is not None:
        raise UsageError("--init and --preset exclude each other", hint="leave out --preset")
    return adaptation.adaptation_recipe(adaptation.run_path(settings.init), settings.freeze or DEFAULT_FREEZE)


def has_default_streams(settings: TrainSettings) -> bool:
    """Whether no preset, recipe or run names the streams of the model."""
    return not any((settings.preset, settings.recipe_file, settings.init))


def with_streams_of(stored: Recipe, recipe: Recipe, settings: TrainSettings) -> Recipe:
    """The default recipe with those of its streams that a stored recipe has; any other recipe as it is."""
    if not has_default_streams(settings):
        return recipe
    names = {stream.name for stream in stored.model.streams}
    streams = tuple(stream for stream in recipe.model.streams if stream.name in names)
    return replace(recipe, model=replace(recipe.model, streams=streams))


def without_absent_streams(
    recipe: Recipe, views: Sequence[VideoView], store: Path, progress: Progress
) -> Recipe:
    """The default recipe for the streams that the store has, if it has some of them.

    A stream is left out if no video has any of its features; a message names the command that adds it.
    """
    streams = recipe.model.streams
    present = tuple(s for s in streams if any(v.has(f"feature/{f}") for v in views for f in s.features))
    if not present or len(present) == len(streams):
        return recipe
    for stream in streams:
        if stream not in present and not stream.features:
            progress.info(f"model.streams.{stream.name} names no feature: the model is trained without it")
        elif stream not in present:
            progress.info(f"{store} has no {stream.name} features: the model is trained without them")
            progress.info(f"to add them: {_how_to_add(stream.name, store)}")
    return replace(recipe, model=replace(recipe.model, streams=present))


def starting_run(settings: TrainSettings) -> Path | None:
    """The run to start from: the given one, or that of the training that is resumed."""
    if settings.init is not None:
        return adaptation.run_path(settings.init)
    folders = (settings.out, *sorted(settings.out.glob(f"{FOLD_PREFIX}*"))) if settings.resume else ()
    return next((start for folder in folders if (start := adaptation.recorded_start(folder))), None)


def split_request(
    settings: TrainSettings, videos: Sequence[StoredSequence], grouping: Grouping, cross_validate: bool
) -> SplitRequest:
    """The given folds; a training from a run on labels without a split is cross-validated by default."""
    folds = settings.folds
    if cross_validate and folds is None and settings.fold is None and not has_official_split(videos):
        folds = min(DEFAULT_FOLDS, len(set(grouping.groups.values())))
        if folds < 2:
            raise UsageError(
                f"--init: one annotated {grouping.basis} cannot be cross-validated",
                hint="annotate a second one, or give --fold 0 with labels that have a split",
            )
    return SplitRequest(folds, settings.fold)


def _how_to_add(stream: str, store: Path) -> str:
    if stream == VISUAL:
        return f"`va align VIDEOS -o {store} | va extract-visual -`"
    return f"`va extract-audio {store}`"


def labelled_videos(store: Path) -> list[VideoView]:
    """The labelled videos that are not in the test split."""
    views = [view for view in Store.open(store).videos() if view.has("label")]
    return [view for view in views if view.part_attrs("label").get("split") != "test"]


def is_annotated(video: StoredSequence) -> bool:
    """Whether a video has a frame with annotated valence and arousal."""
    return video.labels is not None and bool(np.isfinite(video.labels).all(axis=1).any())


def undamaged(videos: list[StoredSequence]) -> list[StoredSequence]:
    """The same videos; StoreError if some are damaged, because fewer videos would give another run."""
    damaged = []
    for video in videos:
        try:
            video.check()
        except StoreError as error:
            damaged.append(error)
    if damaged:
        raise StoreError(
            f"{len(damaged)} of {len(videos)} videos are damaged: {'; '.join(map(str, damaged))}",
            hint="; ".join(dict.fromkeys(str(error.hint) for error in damaged)),
        )
    return videos


def grouping_of(videos: Sequence[StoredSequence], settings: TrainSettings) -> Grouping:
    """The groups of videos that a split keeps together; UsageError as `group_videos`."""
    subjects = from_options(settings.subjects, settings.subject_pattern)
    identities = [identity(video.view, subjects) for video in videos]
    return group_videos(identities, by_subject=subjects is not None)
