"""One run directory from beginning to end: statistics, network, fit, and what is written about it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vacli.files import digests
from vacli.files.run_directory import DATA_FILE, FEATURES_FILE, NORMALIZATION_FILE, RECIPE_FILE
from vacli.inference.run import read_normalisation
from vacli.inference.torch_predictor import TorchPredictor
from vacli.models.build import build
from vacli.progress import Advance, Progress
from vacli.recipe import io as recipe_io
from vacli.recipe.schema import Recipe
from vacli.sequences import normalization
from vacli.sequences.base import Rows
from vacli.sequences.dataset import Standardiser, WindowDataset
from vacli.training import checkpoint
from vacli.training.distributed import World
from vacli.training.temporal.batches import WindowBatches
from vacli.training.temporal.board import Board
from vacli.training.temporal.history import HEADER, History, Row
from vacli.training.temporal.provenance import Features
from vacli.training.temporal.splits import OFFICIAL, Side
from vacli.training.temporal.trainer import Around, Trainer
from vacli.training.temporal.validation import validate


@dataclass(frozen=True, eq=False, kw_only=True)
class Job:
    """What is to be trained, on which side of which store, and where it goes."""

    recipe: Recipe
    folder: Path
    train: Sequence[Rows]
    validation: Sequence[Rows]
    features: Features
    store: Path
    side: Side

    @property
    def seed(self) -> int:
        """The recipe's; for a fold of several, one made of it and of the fold's number: models that all start
        from the same weights agree for that alone."""
        seed, fold = self.recipe.training.seed, self.side.fold.number
        return seed if fold == OFFICIAL else int(np.random.SeedSequence([seed, fold]).generate_state(1)[0])


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The best epoch of a run and what the run cost; `peak_bytes` None where nobody can tell."""

    best: Row
    epochs: int
    parameters: int
    train_s: float  # median of the epochs, without validation
    peak_bytes: int | None


def train(job: Job, world: World, progress: Progress) -> Outcome:
    """Fit one model into `job.folder`, going on where a state is in there already."""
    if world.first:
        _describe(job, progress)
    world.wait()
    training = replace(job.recipe.training, seed=job.seed)
    torch.manual_seed(training.seed)
    net = build(job.recipe.model).to(world.device)
    normalisation = read_normalisation(job.folder)
    standardiser = Standardiser(normalisation, training.clip_z).to(world.device)
    predictor = TorchPredictor(net, standardiser, job.recipe.window, world.device)
    windows = WindowDataset(job.train, job.recipe.window)
    with closing(Board(job.folder)) as board:
        around = Around(
            folder=job.folder,
            world=world,
            validate=lambda: validate(predictor, job.validation, world),
            tell=lambda history: _tell(history, board, progress),
            data=_videos(job) | {"features": job.features},
        )
        batches = WindowBatches(windows, standardiser, training, world)
        return _fit(Trainer(net, training, batches, around), around, progress)


def _fit(trainer: Trainer, around: Around, progress: Progress) -> Outcome:
    if (around.folder / checkpoint.STATE).is_file():
        trainer.resume()
        progress.say(f"{around.folder}: {len(trainer.history.rows)} epochs are done, going on from there")
    progress.say(HEADER)
    history = trainer.run(progress)
    return Outcome(
        best=history.best,
        epochs=len(history.rows),
        parameters=trainer.parameters,
        train_s=statistics.median(row.train_s for row in history.rows),
        peak_bytes=max((row.peak_bytes for row in history.rows if row.peak_bytes), default=None),
    )


def _tell(history: History, board: Board, progress: Progress) -> None:
    row = history.rows[-1]
    progress.say(history.line(row))
    board.add(row)


def _describe(job: Job, progress: Progress) -> None:
    """Write what is known before training: the recipe, the inputs, their statistics."""
    if (job.folder / checkpoint.STATE).is_file():
        return
    job.folder.mkdir(parents=True, exist_ok=True)
    digests.write(job.folder / RECIPE_FILE, recipe_io.to_json(job.recipe).encode("utf-8"))
    digests.write(job.folder / FEATURES_FILE, checkpoint.json_bytes(job.features))
    about = {"store": str(job.store), "split": job.side.words, "fold": job.side.fold.number}
    about["folds"] = job.side.fold.count
    digests.write(job.folder / DATA_FILE, checkpoint.json_bytes(about | _videos(job)))
    with progress.task("statistics", len(job.train), "videos") as advance:
        fitted = normalization.fit(_counted(job.train, advance))
    digests.write(job.folder / NORMALIZATION_FILE, checkpoint.arrays_bytes(fitted.tensors()))


def _counted(videos: Sequence[Rows], advance: Advance) -> Iterator[Rows]:
    for rows in videos:
        yield rows
        advance(1)


def _videos(job: Job) -> dict[str, Any]:
    """Names and frame counts of the videos on either side."""
    return {
        "train": {rows.video: len(rows) for rows in job.train},
        "validation": {rows.video: len(rows) for rows in job.validation},
    }
