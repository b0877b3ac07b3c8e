"""`va train`: train models on the features and labels of a store and write a run directory."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from vacli.errors import StoreError, UsageError
from vacli.files.run_directory import CARD_FILE, FOLD_PREFIX
from vacli.inference.feature_check import check_stored_features
from vacli.inference.run import load_run
from vacli.progress import Progress, RecordingProgress
from vacli.recipe.schema import Freeze, Recipe
from vacli.runtime.devices import pick_device
from vacli.sequences.stored import open_sequences
from vacli.steps._encoders import EncoderFile, copy_encoders, encoder_files
from vacli.steps._gain import report_gain
from vacli.steps._run_folder import check_free, sole_training
from vacli.steps._training_inputs import (
    DEFAULT_PRESET,
    grouping_of,
    has_default_streams,
    is_annotated,
    labelled_videos,
    split_request,
    starting_run,
    undamaged,
    without_absent_streams,
)
from vacli.steps._training_recipe import chosen_recipe, resolve
from vacli.store import Store
from vacli.training import checkpoint
from vacli.training.distributed import World, world
from vacli.training.temporal.adaptation import InitialWeights
from vacli.training.temporal.completed import completed_result
from vacli.training.temporal.epoch_reports import scores_of
from vacli.training.temporal.history import TENSORBOARD_FOLDER, summarise
from vacli.training.temporal.leakage import encoder_note, shared_subjects_note, split_note
from vacli.training.temporal.model_card import card
from vacli.training.temporal.provenance import describe_features
from vacli.training.temporal.session import TrainingJob, TrainingResult, train
from vacli.training.temporal.splits import DataSplit, make_splits
from vacli.training.temporal.training_set import training_set

__all__ = [
    "DEFAULT_PRESET",
    "FoldResult",
    "TrainResult",
    "TrainSettings",
    "chosen_recipe",
    "make_jobs",
    "resolve",
    "run",
]


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """The recipe, the store with the training data, and the run directory.

    The recipe is `preset`, changed by `recipe_file`, then by `temporal` and `fusion` (kinds), then by the
    `assignments` (`path=value`). `folds` trains one model for each fold, `fold` only one of them (0 is the
    official split). Without both, the official split of the labels is used, or a holdout if they have none.
    `init` is a run to start from, or "bundled"; the recipe is then derived from its own, `freeze` names the
    layers that are not trained, and without an official split the training is cross-validated.
    `subjects` (a CSV) or `subject_pattern` replace the subjects of the labels. `exclude_encoder_frames`: as
    `exclude` of `training_set`.
    `bundle_encoder` copies the weights of the features into the run; `weights` names their files ("" is the
    single visual feature) where they are not the published ones and have moved.
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
    subjects: Path | None = None
    subject_pattern: str | None = None
    exclude_encoder_frames: bool | None = None
    resume: bool = False
    device: str = "auto"
    init: str | Path | None = None
    freeze: Freeze | None = None
    bundle_encoder: bool = False
    weights: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class FoldResult:
    """One trained model: its directory, its split, and the scores and costs of its training.

    skipped: it was complete before.
    """

    path: Path
    split: DataSplit
    result: TrainingResult
    skipped: bool = False


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """The run directory and the result of each of its models."""

    out: Path
    folds: tuple[FoldResult, ...]

    @property
    def skipped(self) -> bool:
        """Whether the whole run was complete before."""
        return all(fold.skipped for fold in self.folds)

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
    """Train the models of a recipe; a run that is complete with the same settings is skipped.

    Under torchrun every process calls this; only the main process writes files and messages.
    Raises: UsageError, StoreError, RunError.
    """
    with world(pick_device(settings.device)) as processes:
        listener = (progress or RecordingProgress()) if processes.is_main else RecordingProgress()
        jobs = make_jobs(settings, chosen_recipe(settings), listener)
        bundled = _encoders(settings, jobs[0], listener) if processes.is_main else ()
        if not settings.resume and (done := _completed(jobs)):
            copy_encoders(bundled, settings.out, listener)
            processes.wait()
            listener.info(f"{settings.out}: complete with the same settings, skipped")
            return TrainResult(out=settings.out, folds=done)
        if processes.is_main:
            folders = [job.folder for job in jobs]
            check_free(settings.out, folders, checkpoint.STATE_FILE, resume=settings.resume)
        processes.wait()
        results = _train_all(jobs, processes, listener)
        copy_encoders(bundled, settings.out, listener)
        if processes.is_main and jobs[0].folder != settings.out:
            _report_summary(settings.out, listener)
        if processes.is_main and jobs[0].init is not None:
            report_gain(load_run(jobs[0].init.run), settings.out, Store.open(settings.store), listener)
    return TrainResult(out=settings.out, folds=results)


def _completed(jobs: Sequence[TrainingJob]) -> tuple[FoldResult, ...]:
    """The results of all jobs if each has a complete run, else none."""
    results = [(job, completed_result(job)) for job in jobs]
    found = tuple(
        FoldResult(path=job.folder, split=job.split, result=result, skipped=True)
        for job, result in results
        if result is not None
    )
    return found if len(found) == len(jobs) else ()


def make_jobs(settings: TrainSettings, recipe: Recipe, progress: Progress) -> list[TrainingJob]:
    """The models to train, one for each split. Raises UsageError, StoreError or RunError."""
    views = labelled_videos(settings.store)
    if has_default_streams(settings):
        recipe = without_absent_streams(recipe, views, settings.store, progress)
    videos = undamaged(open_sequences(views, recipe.model))
    videos = [video for video in videos if is_annotated(video)]
    if not videos:
        raise StoreError(
            f"{settings.store}: no video has labels to train on", hint="add them with `va import-labels`"
        )
    features = describe_features(views, recipe.model)
    start = starting_run(settings)
    if start is not None:
        check_stored_features(load_run(start), views)
    grouping = grouping_of(videos, settings)
    request = split_request(settings, videos, grouping, cross_validate=start is not None)

    def job(split: DataSplit) -> TrainingJob:
        fold = split.fold
        chosen = training_set([v for v in videos if v.video in fold.train], settings.exclude_encoder_frames)
        held_out = [v for v in videos if v.video in fold.validation]
        folder = settings.out / f"{FOLD_PREFIX}{fold.number}" if request.is_cross_validation else settings.out
        warnings = (
            shared_subjects_note(split, grouping),
            encoder_note(held_out, videos, grouping),
            chosen.warning,
        )
        return TrainingJob(
            recipe=recipe,
            folder=folder,
            train=chosen.videos,
            validation=held_out,
            features=features,
            store=settings.store,
            split=split,
            subjects=grouping.subjects,
            excluded_frames=chosen.excluded,
            notes=tuple(filter(None, (split_note(split, grouping), chosen.note))),
            warnings=tuple(filter(None, warnings)),
            init=None if start is None else InitialWeights.of_fold(start, fold.number),
            is_fold=request.is_cross_validation,
        )

    return [job(split) for split in make_splits(videos, grouping, request, recipe.training.seed)]


def _encoders(settings: TrainSettings, job: TrainingJob, progress: Progress) -> tuple[EncoderFile, ...]:
    """The weights to copy into the run."""
    if not settings.bundle_encoder:
        if settings.weights:
            raise UsageError("--weights names weights to copy into the run", hint="add --bundle-encoder")
        return ()
    return encoder_files(job.recipe.model, job.features, settings.weights, progress)


def _train_all(jobs: Sequence[TrainingJob], processes: World, progress: Progress) -> tuple[FoldResult, ...]:
    """Train one model after another."""
    if len(jobs) == 1:
        return (_train(jobs[0], processes, progress),)
    results = []
    with progress.task("total", len(jobs), "folds") as advance:
        for job in jobs:
            results.append(_train(job, processes, progress))
            advance(1)
    return tuple(results)


def _train(job: TrainingJob, processes: World, progress: Progress) -> FoldResult:
    counts = f"{len(job.train)} training videos, {len(job.validation)} validation videos"
    progress.info(f"{job.recipe.name}, {job.split.description}: {counts}")
    for note in job.notes:
        progress.info(note)
    for warning in job.warnings:
        progress.warn(f"{job.split.description}: {warning}")
    names = (checkpoint.STATE_FILE, TENSORBOARD_FOLDER)
    with sole_training(job.folder, *names) if processes.is_main else nullcontext():
        result = train(job, processes, progress)
    if processes.is_main:
        checkpoint.write_text(job.folder / CARD_FILE, card(job, result))
    if job.is_fold:
        kept = f"epoch {result.best.epoch} of {result.epochs} kept"
        progress.info(f"{job.folder}: {kept}: {scores_of(result.best)}")
    return FoldResult(path=job.folder, split=job.split, result=result)


def _report_summary(out: Path, progress: Progress) -> None:
    summary = summarise(out)
    if len(summary["folds"]) == 1:  # its own line has them
        return
    scores = ", ".join(f"{name} {value:.3f}" for name, value in summary["mean"].items())
    progress.info(f"mean of {len(summary['folds'])} folds: {scores}")
