"""Runs and prediction files against labels, from the store or from annotation files."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vacli.datasets import affwild2
from vacli.datasets.annotations import Annotation, on_frames
from vacli.errors import LabelError, RunError, UsageError
from vacli.evaluation.predictions import Predicted
from vacli.evaluation.score import Result, Score, VideoScore, score_video
from vacli.files.run_directory import DATA_FILE, METRICS_FILE
from vacli.inference.prediction import predict_sequence
from vacli.inference.run import EnsembleMember, Run
from vacli.models.size import count_parameters
from vacli.progress import Advance
from vacli.sequences.stored import StoredSequence, open_sequences
from vacli.store import Store
from vacli.store.schema import safe_id

HELD_OUT, ALL = "held-out", "all"
ON = (HELD_OUT, "train", "validation", "test", ALL)


@dataclass(frozen=True, eq=False, kw_only=True)
class Trace:
    """A trajectory with its labels, for figures: times_s (T,), predicted and labels (T, 2)."""

    video: str
    times_s: np.ndarray
    predicted: np.ndarray
    labels: np.ndarray

    def score(self) -> VideoScore:
        """Its score."""
        return score_video(self.video, self.predicted, self.labels)


Judged = tuple[Result, list[Trace]]
Predict = Callable[[StoredSequence], np.ndarray]


def judge_run(run: Run, store: Store, on: str, advance: Advance) -> Judged:
    """Score a run on what its models were held back from, or all of them together on a split."""
    if on == HELD_OUT:
        groups = [(*_member_name(run, m), _held_out(m, store, run), m.predictor) for m in run.members]
    else:
        groups = [(f"{run.path.name} on {on}", None, _of_split(store, run, on), _together(run))]
    scores, traces = [], []
    for name, fold, videos, predict in groups:
        found = [_trace(predict, rows, advance) for rows in videos]
        traces += found
        scores.append(Score(name=name, fold=fold, videos=tuple(t.score() for t in found)))
    result = Result(
        name=run.path.name,
        scores=tuple(scores),
        preset=run.recipe.name,
        parameters=count_parameters(run.recipe.model),
        epoch_s=_epoch_s(run),
    )
    return result, traces


def judge_predictions(name: str, predictions: Iterable[Predicted], truth: Truth) -> Judged:
    """Score predictions of videos that have labels; raises LabelError where none has."""
    traces = [trace for p in predictions if (trace := truth(p)) is not None]
    if not traces:
        raise LabelError(
            f"{name}: no labels for any of its videos", hint="names of predictions and labels must match"
        )
    return Result(name=name, scores=(Score(name=name, videos=tuple(t.score() for t in traces)),)), traces


Truth = Callable[[Predicted], Trace | None]


def store_truth(store: Store) -> Truth:
    """Labels of a store; predictions are judged at the times of its frames."""

    def find(predicted: Predicted) -> Trace | None:
        video = safe_id(predicted.video)
        if video not in store or not store.video(video).has("label"):
            return None
        view = store.video(video)
        at = predicted.at(view.times_s)
        return Trace(video=video, times_s=view.times_s, predicted=at, labels=view.labels())

    return find


def annotation_truth(annotations: Path) -> Truth:
    """Labels of annotation files, resampled to the predictions' own times."""
    read = [affwild2.read(file) for file in affwild2.find(annotations)[0]]
    found: Mapping[str, Annotation] = {a.trial: a for a in read if isinstance(a, Annotation)}

    def find(predicted: Predicted) -> Trace | None:
        if predicted.video not in found:
            return None
        labels = on_frames(found[predicted.video], predicted.times_s).values
        return Trace(
            video=predicted.video, times_s=predicted.times_s, predicted=predicted.values, labels=labels
        )

    return find


def store_of(run: Run) -> Path:
    """The store that a run was trained on, as it noted it."""
    return Path(_data(run.members[0])["store"])


def _data(member: EnsembleMember) -> dict:
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
            f"{member.path} was held back from {len(absent)} videos that are not in {store.path} "
            f"({absent[0]}, ...)",
            hint="name the store that it was trained on with --store",
        )
    return _labelled(store, run, member.validation)


def _of_split(store: Store, run: Run, on: str) -> list[StoredSequence]:
    if on not in ON:
        raise UsageError(f"nothing is called {on!r}", hint=f"one of {', '.join(ON)}")
    rows = _labelled(store, run, store.video_ids())
    return [r for r in rows if on in (ALL, r.split)]


def _labelled(store: Store, run: Run, videos: Sequence[str]) -> list[StoredSequence]:
    views = [view for video in videos if (view := store.video(video)).has("label")]
    return open_sequences(views, run.recipe.model)


def _together(run: Run) -> Predict:
    """All models of a run as one."""
    return lambda rows: predict_sequence(run, rows, rows.times_s).values


def _trace(predict: Predict, rows: StoredSequence, advance: Advance) -> Trace:
    predicted = predict(rows)
    advance(len(rows))
    return Trace(video=rows.video, times_s=rows.times_s, predicted=predicted, labels=rows.labels)


def _epoch_s(run: Run) -> float | None:
    path = run.members[0].path / METRICS_FILE
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return statistics.median(json.loads(line)["train_s"] for line in lines) if lines else None
