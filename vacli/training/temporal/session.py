"""Train one run directory: feature statistics, network, training loop, and the records of the run."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from vacli.files import digests
from vacli.files.object_path import is_url
from vacli.files.run_directory import (
    CALIBRATION_FILE,
    DATA_FILE,
    FEATURES_FILE,
    NORMALIZATION_FILE,
    RECIPE_FILE,
    STORE_FROM_RUN,
    read_json,
)
from vacli.inference.run import read_normalisation
from vacli.inference.torch_predictor import TorchPredictor
from vacli.models.build import build
from vacli.progress import Advance, Progress
from vacli.recipe import io as recipe_io
from vacli.recipe.schema import Recipe, Training
from vacli.sequences import normalization
from vacli.sequences.base import FeatureRows
from vacli.sequences.dataset import Standardiser, WindowDataset
from vacli.sequences.stored import StoredSequence
from vacli.training import checkpoint
from vacli.training.distributed import World
from vacli.training.history import History, Row
from vacli.training.optim import n_trainable
from vacli.training.temporal.adaptation import INIT, InitialWeights, freeze_parameters
from vacli.training.temporal.batches import WindowBatches
from vacli.training.temporal.data_changes import check_unchanged, content_record
from vacli.training.temporal.epoch_reports import line_of_fold, table_of_epochs
from vacli.training.temporal.history import TensorBoardCurves
from vacli.training.temporal.provenance import Features
from vacli.training.temporal.splits import OFFICIAL, DataSplit
from vacli.training.temporal.task import SequenceTask
from vacli.training.temporal.validation import validate
from vacli.training.trainer import Trainer, TrainerConfig, TrainerContext


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainingJob:
    """One model to train: its recipe, its data split and its run directory.

    subjects: video -> subject, empty where unknown. excluded_frames: training frames without a label,
    because they trained the encoder. notes, warnings: sentences that belong beside the scores. is_fold: the
    model is one of a cross-validation.
    """

    recipe: Recipe
    folder: Path
    train: Sequence[StoredSequence]
    validation: Sequence[StoredSequence]
    features: Features
    store: Path
    split: DataSplit
    subjects: Mapping[str, str] = field(default_factory=dict)
    excluded_frames: int = 0
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    init: InitialWeights | None = None
    is_fold: bool = False

    @property
    def seed(self) -> int:
        """The recipe's seed; in a cross-validation it is combined with the number of the fold.

        Models with equal initial weights would agree too much.
        """
        seed, fold = self.recipe.training.seed, self.split.fold.number
        return seed if fold == OFFICIAL else int(np.random.SeedSequence([seed, fold]).generate_state(1)[0])


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """The best epoch of a run and its cost; `peak_bytes` is None where unknown."""

    best: Row
    epochs: int
    parameters: int
    train_s: float  # median of the epochs, without validation
    peak_bytes: int | None


def train(job: TrainingJob, world: World, progress: Progress) -> TrainingResult:
    """Train one model into `job.folder`, or resume the training whose state is there.

    Raises RunError if the labels, the features or the split have changed since that training began.
    """
    if world.is_main:
        _describe(job, progress)
    world.wait()
    training = replace(job.recipe.training, seed=job.seed)
    torch.manual_seed(training.seed)
    net = _network(job).to(world.device)
    standardiser = Standardiser(read_normalisation(job.folder), training.clip_z).to(world.device)
    batches = WindowBatches(WindowDataset(job.train, job.recipe.window), standardiser, training, world)

    def validation_ccc(model: nn.Module) -> tuple[float, float]:
        predictor = TorchPredictor(model, standardiser, job.recipe.window, world.device)
        return validate(predictor, job.validation, world)

    report: list[Callable[[History], None]] = []  # made when the number of complete epochs is known
    with ExitStack() as stack:
        curves = stack.enter_context(closing(TensorBoardCurves(job.folder)))

        def on_epoch_end(history: History) -> None:
            report[0](history)
            curves.add(history.rows[-1])

        context = TrainerContext(
            folder=job.folder,
            state_file=checkpoint.STATE_FILE,
            world=world,
            on_epoch_end=on_epoch_end,
            lr_option="--set training.optim.lr=",
            data=_videos(job) | {"features": job.features},
        )
        task = SequenceTask(net, training, batches, validation_ccc, world)
        trainer = Trainer(task, _trainer_config(training), context)
        if complete := trainer.resume():
            check_unchanged(job.folder, read_json(job.folder / DATA_FILE), data_record(job))
            progress.info(f"{job.folder}: resuming after {complete} complete epochs")
        if world.is_main and not trainer.is_finished:
            _remove_calibration(job, progress)
        report.append(stack.enter_context(_epoch_reports(job, complete, progress)))
        return result_of(trainer.run(progress), n_trainable(net))


def _remove_calibration(job: TrainingJob, progress: Progress) -> None:
    """Remove the calibration of the run, which was fitted to its models before they are trained further."""
    path = (job.folder.parent if job.is_fold else job.folder) / CALIBRATION_FILE
    if path.is_file():
        digests.remove(path)
        progress.warn(
            f"{path}: removed, since the run is trained further; run `va calibrate` again afterwards"
        )


def _epoch_reports(
    job: TrainingJob, complete: int, progress: Progress
) -> AbstractContextManager[Callable[[History], None]]:
    if not job.is_fold:
        return table_of_epochs(progress)
    return line_of_fold(progress, f"fold {job.split.fold.number}", job.recipe.training.epochs, complete)


def _network(job: TrainingJob) -> nn.Module:
    """The network before training, with the layers frozen that the recipe freezes."""
    net = build(job.recipe.model)
    if job.init is not None:
        job.init.load_into(net)
    freeze_parameters(net, job.recipe.training.freeze)
    return net


def _trainer_config(training: Training) -> TrainerConfig:
    return TrainerConfig(
        epochs=training.epochs,
        patience_epochs=training.patience_epochs,
        optim=training.optim,
        schedule=training.schedule,
    )


def result_of(history: History, parameters: int) -> TrainingResult:
    """The best epoch of a history, and the cost of all epochs."""
    return TrainingResult(
        best=history.best,
        epochs=len(history.rows),
        parameters=parameters,
        train_s=statistics.median(row.train_s for row in history.rows),
        peak_bytes=max((row.peak_bytes for row in history.rows if row.peak_bytes), default=None),
    )


def _describe(job: TrainingJob, progress: Progress) -> None:
    """Write the recipe, the record of the inputs and their statistics."""
    if (job.folder / checkpoint.STATE_FILE).is_file():
        return
    job.folder.mkdir(parents=True, exist_ok=True)
    digests.write(job.folder / RECIPE_FILE, recipe_io.to_json(job.recipe).encode("utf-8"))
    digests.write(job.folder / FEATURES_FILE, checkpoint.json_bytes(job.features))
    digests.write(job.folder / DATA_FILE, checkpoint.json_bytes(data_record(job)))
    digests.write(
        job.folder / NORMALIZATION_FILE, checkpoint.arrays_bytes(_statistics(job, progress).tensors())
    )


def _statistics(job: TrainingJob, progress: Progress) -> normalization.Normalisation:
    """Those of the run that the training starts from, or of the training videos."""
    if job.init is not None:
        return read_normalisation(job.init.member)
    with progress.task("statistics", len(job.train), "videos") as advance:
        return normalization.fit(_counted(job.train, advance))


def _provenance(job: TrainingJob) -> dict[str, object]:
    """The store, the split, and the subject, the source file and the content of each video."""
    videos = [*job.train, *job.validation]
    return {
        "store": str(job.store),
        STORE_FROM_RUN: _relative(job),
        "split": job.split.description,
        "basis": job.split.basis,
        "fold": job.split.fold.number,
        "folds": job.split.fold.count,
        "subjects": {rows.video: job.subjects.get(rows.video) for rows in videos},
        "sha256": {rows.video: rows.view.source.get("sha256") for rows in videos},
        **content_record(videos),
        "notes": [*job.notes, *job.warnings],
        **({} if job.init is None else {INIT: job.init.record()}),
    }


def _relative(job: TrainingJob) -> str | None:
    """The path of the store from the run's folder; None for a URL, or another drive of Windows."""
    if is_url(str(job.store)):
        return None
    try:
        return os.path.relpath(job.store, job.folder)
    except ValueError:
        return None


def data_record(job: TrainingJob) -> dict[str, object]:
    """The values of data.json: how the videos were chosen, and their names and frame counts."""
    return _provenance(job) | _videos(job)


def _counted(videos: Sequence[FeatureRows], advance: Advance) -> Iterator[FeatureRows]:
    for rows in videos:
        yield rows
        advance(1)


def _videos(job: TrainingJob) -> dict[str, object]:
    """Names and frame counts of the training and validation videos, and the number of excluded frames."""
    excluded = {"excluded_frames": job.excluded_frames} if job.excluded_frames else {}
    return {
        "train": {rows.video: len(rows) for rows in job.train},
        "validation": {rows.video: len(rows) for rows in job.validation},
        **excluded,
    }
