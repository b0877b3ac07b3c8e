"""`va evaluate`: score runs and predictions, and compare them with published tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from vacli.datasets.annotation_options import AnnotationOptions
from vacli.errors import InputError, UsageError, nearest
from vacli.evaluation import evaluator
from vacli.evaluation.label_sources import LabelSource, annotation_labels, store_labels
from vacli.evaluation.predictions import PredictedTrajectory, read_predictions
from vacli.evaluation.published_results import PAPERS, is_of_other_paper
from vacli.evaluation.score import Result, Score, with_video_notes
from vacli.evaluation.training_store import open_training_store
from vacli.files.run_directory import FOLD_PREFIX, RECIPE_FILE
from vacli.inference.feature_check import check_stored_features
from vacli.inference.run import Run, check_not_preset, load_run
from vacli.output import text_tables
from vacli.output.index_table import indexed_tables
from vacli.output.plot import FORMATS as FIGURE_FORMATS
from vacli.output.provenance import IN_TRAINING, read_sidecar
from vacli.output.score_tables import published_grids, score_grids
from vacli.progress import Progress, RecordingProgress
from vacli.runtime.options import device_name
from vacli.steps._batch import DONE, Batch, Failure, run_each
from vacli.steps._evaluation_figures import check_formats, draw
from vacli.store import Store

FORMATS = ("json", *text_tables.FORMATS)


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """The runs or predictions to score, the labels and the format.

    inputs: run directories, prediction CSVs or folders of them. store: features and labels (for a run:
    None is the store that it was trained on). labels: annotation files instead of the store's labels, for
    predictions only; they are read with `annotation_options`. split: each model's validation videos, or a
    split of the store (evaluator.SPLITS). paper: a key of PAPERS. figures: a folder for plots in
    `figure_formats`. allow_mismatch: score a run on features that differ from those of its training, with a
    note. table_width: characters of a line of text tables, None for any.
    """

    inputs: tuple[Path, ...]
    store: Path | None = None
    labels: Path | None = None
    annotation_options: AnnotationOptions = field(default=AnnotationOptions())
    split: str = evaluator.HELD_OUT
    paper: str | None = None
    format: str = "table"
    table_width: int | None = None
    figures: Path | None = None
    figure_formats: tuple[str, ...] = FIGURE_FORMATS[:1]
    device: str = "auto"
    allow_mismatch: bool = False


@dataclass(frozen=True, kw_only=True)
class EvaluateResult:
    """All scores, the inputs that failed with their reasons, and the scores as text in the chosen format."""

    results: tuple[Result, ...]
    failed: tuple[Failure, ...]
    text: str


def run(settings: EvaluateSettings, progress: Progress | None = None) -> EvaluateResult:
    """Score all inputs; failed inputs are reported and the others are scored.

    Raises UsageError, and for a single input its error (RunError, StoreError, LabelError or InputError).
    """
    progress = progress or RecordingProgress()
    _check(settings)
    evaluated: list[evaluator.Evaluation] = []

    def work(path: Path) -> str:
        evaluated.append(evaluate_input(path, settings, progress))
        return DONE

    batch = Batch(Path())
    if len(settings.inputs) == 1:
        work(settings.inputs[0])
    else:
        run_each(batch, settings.inputs, str, work, progress)
    results = with_video_notes([result for result, _ in evaluated])
    _warn_of_left_out(settings.paper, results, progress)
    for score in (s for r in results for s in r.scores):
        _warn(score, progress)
    if settings.figures is not None and evaluated:
        draw(evaluated, settings.figures, settings.figure_formats, progress)
    return EvaluateResult(
        results=results, failed=tuple(batch.failed), text=_text(settings, results) if results else ""
    )


def _check(settings: EvaluateSettings) -> None:
    for value, known, name in (
        (settings.format, FORMATS, "--format"),
        (settings.split, evaluator.SPLITS, "--split"),
        (settings.paper, PAPERS, "--paper"),
    ):
        if value is not None and value not in known:
            raise UsageError(f"{name} {value} is unknown", hint=nearest(value, known))
    check_formats("--figure-format", settings.figure_formats)
    check_labels_given(settings)


def check_labels_given(settings: EvaluateSettings) -> None:
    """Raise UsageError for options of annotation files without such files."""
    if settings.labels is None and settings.annotation_options != AnnotationOptions():
        raise UsageError(
            "columns, unit, range, delay and raters are those of --labels, which is not given",
            hint="give the annotation files with --labels, or leave these options out",
        )


def evaluate_input(path: Path, settings: EvaluateSettings, progress: Progress) -> evaluator.Evaluation:
    """Score one run, prediction table or folder of tables; raises as `run` does for a single input."""
    check_not_preset(path)
    if not path.exists():
        raise InputError(f"no such run or file: {path}", hint="check the path")
    if (path / RECIPE_FILE).is_file() or any(path.glob(f"{FOLD_PREFIX}*")):
        if settings.labels is not None:
            raise UsageError(
                f"{path} is a run, which is scored on the labels of a store",
                hint="import the labels with `va import-labels`, and leave out --labels",
            )
        run = load_run(path, device_name(settings.device), progress)
        store = Store.open(settings.store) if settings.store else open_training_store(run)
        with progress.task(path.name, None, "frames") as advance:
            notes = _check_features(run, store, settings, progress)
            result, trajectories = evaluator.evaluate_run(run, store, settings.split, advance)
            return replace(result, notes=(*notes, *result.notes)), trajectories
    files = _tables_in(path) if path.is_dir() else [path]
    if not files:
        raise InputError(f"{path} is neither a run nor a folder of CSV files")
    predictions = [predicted for file in files for predicted in read_predictions(file)]
    _warn_of_empty(path, predictions, progress)
    result, trajectories = evaluator.evaluate_predictions(path.stem, predictions, _label_source(settings))
    return replace(result, notes=(*result.notes, *_training_notes(files))), trajectories


def _training_notes(tables: Iterable[Path]) -> Iterator[str]:
    """A note on the recordings that the model of the tables was trained on, as their provenance has them."""
    found = [name for table in tables for name in (read_sidecar(table) or {}).get(IN_TRAINING, ())]
    if found:
        yield (
            f"Training videos of the model, whose scores are too high: {len(found)} ({found[0]}"
            f"{', ...' if len(found) > 1 else ''})."
        )


def _tables_in(folder: Path) -> list[Path]:
    """The tables of an output folder of `va predict`, else all CSV files of a folder."""
    listed = indexed_tables(folder)
    return sorted(folder.glob("*.csv")) if listed is None else listed


def _warn_of_empty(path: Path, predictions: Sequence[PredictedTrajectory], progress: Progress) -> None:
    frames = sum(len(predicted.times_s) for predicted in predictions)
    empty = sum(int(np.isnan(predicted.values).any(axis=1).sum()) for predicted in predictions)
    if empty:
        progress.warn(
            f"{path}: {empty} of {frames} frames have no value and are not scored; "
            "`va predict --fill` writes values for all frames"
        )


def _check_features(
    run: Run, store: Store, settings: EvaluateSettings, progress: Progress
) -> tuple[str, ...]:
    """The notes on stored features that differ from those of the run; RunError unless they are allowed."""
    views = [view for view in store.videos() if view.has("label")]
    notes = check_stored_features(run, views, allow=settings.allow_mismatch)
    for note in notes:
        progress.warn(note)
    return notes


def _label_source(settings: EvaluateSettings) -> LabelSource:
    split = None if settings.split in (evaluator.HELD_OUT, evaluator.ALL) else settings.split
    if settings.labels is not None:
        return annotation_labels(settings.labels, split, settings.annotation_options)
    if settings.store is not None:
        return store_labels(Store.open(settings.store), split)
    raise UsageError(
        "predictions cannot be scored without labels", hint="give --store with labels, or --labels with files"
    )


def _warn(score: Score, progress: Progress) -> None:
    if not score.frames:
        progress.warn(f"{score.name}: no annotated frames")
    if score.missing:
        progress.warn(f"{score.name}: {score.missing} annotated frames have no prediction")


def _warn_of_left_out(paper: str | None, results: Sequence[Result], progress: Progress) -> None:
    for result in results:
        if paper is not None and is_of_other_paper(paper, result.preset):
            (other,) = (name for name in PAPERS if name != paper)
            progress.warn(
                f"{result.name} has the model {result.preset}, which is not in the tables of {paper}; "
                f"give --paper {other}"
            )


def _text(settings: EvaluateSettings, results: tuple[Result, ...]) -> str:
    if settings.format == "json":
        return json.dumps(_plain(results), indent=2) + "\n"
    grids = score_grids(results)
    if settings.paper is not None:
        grids += published_grids(settings.paper, PAPERS[settings.paper], results)
    return "\n".join(text_tables.render(grid, settings.format, settings.table_width) for grid in grids)


def _plain(results: tuple[Result, ...]) -> list[dict[str, object]]:
    """All scores by name, with those of each video; unknown values are null."""
    return [
        {
            "name": result.name,
            "preset": result.preset or None,
            "changes": list(result.changes),
            "parameters": result.parameters,
            "epoch_s": result.epoch_s,
            "gpu_peak_bytes": result.gpu_peak_bytes,
            "process_peak_bytes": result.process_peak_bytes,
            "scores": [_plain_score(score) for score in result.scores],
            "notes": list(result.notes),
            "folds": None if result.folds is None else vars(result.folds),
        }
        for result in results
    ]


def _plain_score(score: Score) -> dict[str, object]:
    videos = [
        {
            "video": video.video,
            "frames": video.frames,
            "missing": video.missing,
            "ccc_valence": video.moments[0].ccc if video.frames else None,
            "ccc_arousal": video.moments[1].ccc if video.frames else None,
        }
        for video in score.videos
    ]
    pooled = {key: value if value == value else None for key, value in score.pooled.items()}
    return {
        "name": score.name,
        "fold": score.fold,
        "frames": score.frames,
        "missing": score.missing,
        **pooled,
        "intervals": score.intervals,
        "resampled": score.resampled,
        "videos": videos,
    }
