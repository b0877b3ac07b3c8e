"""Evaluation of runs and prediction files with the labels of a store or of annotation files."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vacli.datasets.subject_name import subject_name
from vacli.errors import LabelError, RunError, UsageError
from vacli.evaluation.label_sources import LabelSource
from vacli.evaluation.predictions import LabelledTrajectory, PredictedTrajectory
from vacli.evaluation.score import Result, Score
from vacli.files.run_directory import DATA_FILE, METRICS_FILE
from vacli.inference.prediction import VideoInput, ensemble_output, model_outputs, predict_sequence
from vacli.inference.run import EnsembleMember, Run
from vacli.inference.training_record import training_record
from vacli.models.size import count_parameters
from vacli.progress import Advance
from vacli.recipe.io import differences
from vacli.recipe.presets import PRESETS, preset_of
from vacli.recipe.schema import Model, Recipe
from vacli.sequences.base import labels_of
from vacli.sequences.grouping import identity
from vacli.sequences.stored import StoredSequence, open_sequences, stored_difficulty
from vacli.store import Store

HELD_OUT, ALL = "held-out", "all"
KEPT_BEST = "the kept epoch is the best one on these videos (training.keep), so the scores are optimistic."
SPLITS = (HELD_OUT, "train", "validation", "test", ALL)


Evaluation = tuple[Result, list[LabelledTrajectory]]
Predict = Callable[[StoredSequence], tuple[np.ndarray, np.ndarray | None]]  # values, uncertainty


def evaluate_run(run: Run, store: Store, split: str, advance: Advance) -> Evaluation:
    """Score each model of a run on its validation videos (HELD_OUT), or all models together on a split."""
    groups: list[tuple[str, int | None, list[StoredSequence], Predict]]
    if split == HELD_OUT:
        groups = [(*_member_name(run, m), _held_out(m, store, run), _member(run, m)) for m in run.members]
    else:
        groups = [(f"{run.path.name} on {split}", None, _of_split(store, run, split), _ensemble(run))]
    subjects = _subjects(run)
    scores, trajectories = [], []
    for name, fold, videos, predict in groups:
        group = [_labelled_trajectory(predict, rows, advance, subjects) for rows in videos]
        trajectories += group
        scores.append(Score(name=name, fold=fold, videos=tuple(t.score() for t in group)))
    result = Result(
        name=run.path.name,
        scores=tuple(scores),
        preset=preset_of(run.recipe.model),
        changes=_changes(run.recipe),
        parameters=count_parameters(run.recipe.model),
        notes=_notes(run, split, [rows for _, _, videos, _ in groups for rows in videos]),
        **_costs(run),
    )
    return result, trajectories


def evaluate_videos(run: Run, store: Store, videos: Sequence[str], name: str, advance: Advance) -> Evaluation:
    """Score all models of a run together on the named videos."""
    predict = _ensemble(run)
    labelled = _labelled(store, run.recipe.model, videos)
    trajectories = [_labelled_trajectory(predict, rows, advance, _subjects(run)) for rows in labelled]
    score = Score(name=name, videos=tuple(t.score() for t in trajectories))
    return Result(name=name, scores=(score,)), trajectories


def _notes(run: Run, split: str, videos: Sequence[StoredSequence]) -> tuple[str, ...]:
    """Notes on the split, and on scored videos that the run or its encoder was trained on."""
    if split == HELD_OUT:
        return _training_notes(run)
    trained = training_record(run.folders)
    known = sum(trained.includes(rows.video, identity(rows.view).sha256) for rows in videos)
    seen = sum(bool(rows.encoder_use) for rows in videos)
    notes = (
        f"{known} of {len(videos)} videos are training videos of the run; their scores are too high.",
        f"The encoder was fine-tuned on {seen} of {len(videos)} videos or their people; "
        "their scores are too high.",
    )
    return tuple(note for note, count in zip(notes, (known, seen), strict=True) if count)


def _training_notes(run: Run) -> tuple[str, ...]:
    """The notes of the models' trainings; those of some folds only name their folds."""
    folds: dict[str, list[str]] = {}
    for member in run.members:
        data = _data(member)
        for note in data.get("notes", ()):
            folds.setdefault(note, []).append(str(data["fold"]))
    if run.recipe.training.keep == "best":
        folds[KEPT_BEST] = [""] * len(run.members)
    common = len(run.members)
    return tuple(n if len(f) == common else f"fold {', '.join(f)}: {n}" for n, f in folds.items())


def evaluate_predictions(
    name: str, predictions: Sequence[PredictedTrajectory], labels: LabelSource
) -> Evaluation:
    """Score the predictions of labelled videos; raises LabelError where no video has labels."""
    found = labels(predictions)
    if not found.trajectories:
        raise LabelError(
            f"{name}: none of its videos has labels",
            hint="names of predictions and labels must match, and --split must be one that the labels have",
        )
    score = Score(name=name, videos=tuple(t.score() for t in found.trajectories))
    return Result(name=name, scores=(score,), notes=found.notes()), list(found.trajectories)


def _data(member: EnsembleMember) -> dict[str, Any]:
    return json.loads((member.path / DATA_FILE).read_text(encoding="utf-8"))


def _member_name(run: Run, member: EnsembleMember) -> tuple[str, int | None]:
    number = _data(member)["fold"]
    if member.path != run.path:
        return f"{run.path.name}, fold {number}", number
    return run.path.name, 0 if number == 0 else None


def _held_out(member: EnsembleMember, store: Store, run: Run) -> list[StoredSequence]:
    absent = [video for video in member.validation if video not in store]
    if absent:
        raise RunError(
            f"{len(absent)} validation videos of {member.path} are not in {store.path} ({absent[0]}, ...)",
            hint="give the store that the run was trained on with --store",
        )
    return _labelled(store, member.model, member.validation)


def _of_split(store: Store, run: Run, split: str) -> list[StoredSequence]:
    if split not in SPLITS:
        raise UsageError(f"there is no split {split!r}", hint=f"give one of {', '.join(SPLITS)}")
    rows = _labelled(store, run.recipe.model, store.video_ids())
    chosen = [r for r in rows if split in (ALL, r.split)]
    if not chosen:
        raise LabelError(
            f"{store.path}: no labelled video is of the split {split}",
            hint="the labels' folders name their split when they are imported",
        )
    return chosen


def _labelled(store: Store, model: Model, videos: Sequence[str]) -> list[StoredSequence]:
    views = [view for video in videos if (view := store.video(video)).has("label")]
    return open_sequences(views, model)


def _ensemble(run: Run) -> Predict:
    """The mean of all models of a run, as `va predict` gives it."""

    def predict(rows: StoredSequence) -> tuple[np.ndarray, np.ndarray | None]:
        predicted = predict_sequence(run, rows, rows.times_s, difficulty=stored_difficulty(rows.view))
        return predicted.values, predicted.uncertainty

    return predict


def _member(run: Run, member: EnsembleMember) -> Predict:
    """One model of a run without shrinkage, as in the validation of its training."""
    single = replace(run, members=(member,), recipe=replace(run.recipe, model=member.model))

    def predict(rows: StoredSequence) -> tuple[np.ndarray, np.ndarray | None]:
        video = VideoInput(rows, rows.times_s, difficulty=stored_difficulty(rows.view))
        output = ensemble_output(single, video, model_outputs(single, rows))
        return output.values, single.postprocess(output).uncertainty

    return predict


def _subjects(run: Run) -> dict[str, str]:
    """Video -> person, as the trainings had them, which may come from a table of the user."""
    given = (_data(member).get("subjects") or {} for member in run.members)
    return {video: subject_name(s) for subjects in given for video, s in subjects.items() if s}


def _labelled_trajectory(
    predict: Predict, rows: StoredSequence, advance: Advance, subjects: Mapping[str, str]
) -> LabelledTrajectory:
    predicted, uncertainty = predict(rows)
    advance(len(rows))
    return LabelledTrajectory(
        video=rows.video,
        times_s=rows.times_s,
        predicted=predicted,
        labels=labels_of(rows),
        uncertainty=uncertainty,
        subject=subjects.get(rows.video) or identity(rows.view).subject,
    )


def _changes(recipe: Recipe) -> tuple[str, ...]:
    """Values that differ from the preset with this model, or else from the one of this name."""
    name = preset_of(recipe.model) or recipe.name
    return differences(recipe, PRESETS[name]) if name in PRESETS else ()


def _costs(run: Run) -> dict[str, Any]:
    """Median seconds of an epoch of the first model, and the peak memory of all models by device."""
    models = [_epochs(member.path / METRICS_FILE) for member in run.members]
    peaks = [
        (row.get("device"), row["peak_bytes"]) for rows in models for row in rows if row.get("peak_bytes")
    ]
    return {
        "epoch_s": statistics.median(row["train_s"] for row in models[0]) if models[0] else None,
        "gpu_peak_bytes": max((peak for device, peak in peaks if device == "cuda"), default=None),
        "process_peak_bytes": max((peak for device, peak in peaks if device == "cpu"), default=None),
    }


def _epochs(path: Path) -> list[dict[str, Any]]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [json.loads(line) for line in lines]
