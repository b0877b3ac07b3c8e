"""`va submit`: write the challenge's submission file from a run or predictions and check it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vacli.errors import LabelError, StoreError, UsageError
from vacli.evaluation import submission
from vacli.evaluation.predictions import PredictedTrajectory, read_predictions
from vacli.inference.feature_check import check_stored_features
from vacli.inference.prediction import predict_sequence
from vacli.inference.run import check_not_preset, load_run
from vacli.output.index_table import indexed_tables
from vacli.progress import Progress, RecordingProgress
from vacli.runtime.options import device_name
from vacli.sequences.stored import open_sequences
from vacli.store import Store
from vacli.store.schema import safe_id


@dataclass(frozen=True, kw_only=True)
class SubmitSettings:
    """inputs: a run, or CSV files of `va predict` or folders of them. store: the features for a run.

    frame_list: the challenge's official list of frames. allow_mismatch: use stored features that differ from
    those of the training.
    """

    inputs: tuple[Path, ...]
    frame_list: Path
    out: Path
    store: Path | None = None
    device: str = "auto"
    allow_mismatch: bool = False


def run(settings: SubmitSettings, progress: Progress | None = None) -> submission.SubmissionSummary:
    """Write the submission file for the frames of the list and check it.

    Raises UsageError, StoreError, LabelError or RunError.
    """
    progress = progress or RecordingProgress()
    trials = list(dict.fromkeys(trial for _, trial, _ in submission.locations(settings.frame_list)))
    check_not_preset(settings.inputs[0])
    tables = [table for path in settings.inputs for table in _tables(path)]
    trajectories = _of_tables(tables) if tables else _predict(settings, trials, progress)
    written = submission.write(settings.out, trajectories, settings.frame_list)
    submission.check(settings.out, settings.frame_list)
    for trial, count in written.repeated.items():
        progress.warn(
            f"{trial}: the list has {count} more frames than the prediction; its last value is repeated"
        )
    progress.info(
        f"{settings.out}: {written.lines} frames of {len(trials)} trials from {settings.frame_list}"
    )
    return written


def _tables(path: Path) -> list[Path]:
    """A table, or those of an output folder of `va predict`; none for a run."""
    return (indexed_tables(path) or []) if path.is_dir() else [path]


def _of_tables(tables: Iterable[Path]) -> Mapping[str, np.ndarray]:
    """The values of each video. Raises LabelError where two recordings have one name."""
    found: dict[str, PredictedTrajectory] = {}
    for predicted in (p for table in tables for p in read_predictions(table)):
        if (before := found.setdefault(predicted.video, predicted)) is not predicted:
            raise LabelError(
                f"{before.description} and {predicted.description} are both called {predicted.video}",
                hint="give the predictions of one of them",
            )
    return {name: predicted.values for name, predicted in found.items()}


def _predict(settings: SubmitSettings, trials: Iterable[str], progress: Progress) -> Mapping[str, np.ndarray]:
    if settings.store is None or len(settings.inputs) > 1:
        raise UsageError(
            "`va submit` needs one run and a store with its features",
            hint="give one run as input, and the store with --store",
        )
    trained = load_run(settings.inputs[0], device_name(settings.device), progress)
    store = Store.open(settings.store)
    absent = [trial for trial in trials if safe_id(trial) not in store]
    if absent:
        raise StoreError(
            f"{store.path}: trials of the list without features: {len(absent)} ({absent[0]}"
            f"{', ...' if len(absent) > 1 else ''})",
            hint="extract them first; two-person trials need `va align --face left` and `--face right`",
        )
    views = [store.video(safe_id(trial)) for trial in trials]
    rows = open_sequences(views, trained.recipe.model)
    for note in check_stored_features(trained, views, allow=settings.allow_mismatch):
        progress.warn(note)
    values = {}
    with progress.task("predict", sum(map(len, rows)), "frames") as advance:
        for trial, sequence in zip(trials, rows, strict=True):
            values[trial] = predict_sequence(trained, sequence, sequence.times_s).values
            advance(len(sequence))
    return values
