"""`va train`: from the features and labels of a store to a run directory."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vacli.errors import RunError, StoreError
from vacli.files.run_directory import FOLD_PREFIX, RECIPE_FILE
from vacli.inference.run import read_recipe
from vacli.progress import Progress, Quiet
from vacli.recipe import io as recipe_io
from vacli.recipe.presets import preset, with_fusion, with_temporal
from vacli.recipe.schema import Recipe
from vacli.runtime.devices import pick_device
from vacli.sequences.stored import StoredSequence, open_sequences
from vacli.store import Store, VideoView
from vacli.training import checkpoint
from vacli.training.distributed import World, world
from vacli.training.temporal.history import summarise
from vacli.training.temporal.model_card import CARD, card
from vacli.training.temporal.provenance import describe_features
from vacli.training.temporal.session import TrainingJob, TrainingResult, train
from vacli.training.temporal.splits import DataSplit, SplitRequest, make_splits

DEFAULT_PRESET = "compact"


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """What to train, on what, into which directory.

    The recipe is `preset`, then `recipe_file`, then `temporal` and `fusion` (kinds), then the
    `assignments` (`path=value`). `folds` trains one model a fold, `fold` only that one of them (0 is the
    official split). Without either: the official split where the labels name one, else a hold-out.
    """

    store: Path
    out: Path
    preset: str | None = None
    recipe_file: Path | None = None
    assignments: tuple[str, ...] = ()
    temporal: str | None = None
    fusion: str | None = None
    folds: int | None = None
    fold: int | None = None
    resume: bool = False
    device: str = "auto"


@dataclass(frozen=True, kw_only=True)
class FoldResult:
    """One trained model: its directory, its best validation CCC and what training cost."""

    path: Path
    split: DataSplit
    result: TrainingResult


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """Where the run is and what each of its models reached."""

    out: Path
    folds: tuple[FoldResult, ...]

    @property
    def valence(self) -> float:
        """Mean over folds of the best epochs' valence CCC."""
        return statistics.fmean(f.result.best.scores["valence"] for f in self.folds)

    @property
    def arousal(self) -> float:
        """Mean over folds of the best epochs' arousal CCC."""
        return statistics.fmean(f.result.best.scores["arousal"] for f in self.folds)

    @property
    def mean(self) -> float:
        """Mean of valence and arousal."""
        return 0.5 * (self.valence + self.arousal)


def run(settings: TrainSettings, progress: Progress | None = None) -> TrainResult:
    """Train what `settings` ask for.

    Under torchrun every process calls this; the first one writes and talks.
    Raises: UsageError, StoreError, RunError.
    """
    with world(pick_device(settings.device)) as here:
        listener = (progress or Quiet()) if here.is_main else Quiet()
        jobs = _jobs(settings, _recipe(settings))
        if here.is_main and not settings.resume:
            _check_free(jobs)
        here.wait()
        results = tuple(_train(job, here, listener) for job in jobs)
        if here.is_main and jobs[0].folder != settings.out:
            _tell_summary(settings.out, listener)
    return TrainResult(out=settings.out, folds=results)


def resolve(settings: TrainSettings) -> Recipe:
    """The recipe that the settings name; raises UsageError with the path of what does not fit."""
    recipe = preset(settings.preset or DEFAULT_PRESET)
    if settings.recipe_file is not None:
        recipe = recipe_io.overlay(recipe, recipe_io.read_toml(settings.recipe_file))
    model = recipe.model
    model = with_temporal(model, settings.temporal) if settings.temporal else model
    model = with_fusion(model, settings.fusion) if settings.fusion else model
    recipe = replace(recipe, model=model)
    return recipe_io.set_values(recipe, settings.assignments)


def _recipe(settings: TrainSettings) -> Recipe:
    """The recipe to train: that of the run to resume where there is one."""
    made = next(iter(sorted(settings.out.glob(f"{FOLD_PREFIX}*/{RECIPE_FILE}"))), None)
    folder = made.parent if made else settings.out
    if not settings.resume or not (folder / RECIPE_FILE).is_file():
        return resolve(settings)
    stored = read_recipe(folder)
    named = (settings.preset, settings.recipe_file, settings.temporal, settings.fusion)
    if (any(named) or settings.assignments) and not _is_same(resolve(settings), stored):
        raise RunError(
            f"{folder / RECIPE_FILE} is another recipe than the one asked for",
            hint="resume without options of the model, or train afresh into another folder",
        )
    return stored


def _is_same(recipe: Recipe, stored: Recipe) -> bool:
    """Whether two recipes are equal except for their descriptions, which presets may reword."""
    return replace(recipe, summary=stored.summary, source=stored.source) == stored


def _jobs(settings: TrainSettings, recipe: Recipe) -> list[TrainingJob]:
    views = _labelled(settings.store)
    videos = _whole(open_sequences(views, recipe.model))
    videos = [s for s in videos if np.isfinite(s.labels).all(axis=1).any()]
    if not videos:
        raise StoreError(
            f"{settings.store}: no video has labels to train on", hint="add them with `va import-labels`"
        )
    features = describe_features(views, recipe.model)
    request = SplitRequest(settings.folds, settings.fold)
    return [
        TrainingJob(
            recipe=recipe,
            folder=settings.out / f"{FOLD_PREFIX}{split.fold.number}"
            if request.is_cross_validation
            else settings.out,
            train=[v for v in videos if v.video in split.fold.train],
            validation=[v for v in videos if v.video in split.fold.validation],
            features=features,
            store=settings.store,
            split=split,
        )
        for split in make_splits(videos, request, recipe.training.seed)
    ]


def _whole(videos: list[StoredSequence]) -> list[StoredSequence]:
    """The videos themselves; StoreError where some are damaged: a run on fewer would be another run."""
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


def _labelled(store: Path) -> list[VideoView]:
    """The videos with labels; a test set's, should it have any, are for nobody to learn from."""
    views = [view for view in Store.open(store).videos() if view.has("label")]
    return [view for view in views if view.part_attrs("label").get("split") != "test"]


def _check_free(jobs: Sequence[TrainingJob]) -> None:
    for job in jobs:
        if (job.folder / RECIPE_FILE).exists():
            raise RunError(
                f"{job.folder} holds a run", hint="go on with --resume, or name another folder with --out"
            )


def _train(job: TrainingJob, here: World, progress: Progress) -> FoldResult:
    counts = f"{len(job.train)} videos to learn from, {len(job.validation)} held out"
    progress.say(f"{job.recipe.name}, {job.split.description}: {counts}")
    result = train(job, here, progress)
    if here.is_main:
        checkpoint.write_text(job.folder / CARD, card(job, result))
    return FoldResult(path=job.folder, split=job.split, result=result)


def _tell_summary(out: Path, progress: Progress) -> None:
    summary = summarise(out)
    scores = ", ".join(f"{name} {value:.3f}" for name, value in summary["mean"].items())
    progress.say(f"mean of {len(summary['folds'])} folds: {scores}")
