"""`va import-labels`: import annotations into a store, one label for each frame of its videos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import numpy as np

from vacli.datasets import affwild2, label_refinement
from vacli.datasets.affwild2 import ACTION_UNITS, EXPRESSION, EXPRESSIONS, DiscreteAnnotation
from vacli.datasets.annotations import REPAIRED, SOURCES, Annotation, FrameLabels, on_frames
from vacli.errors import LabelError, StoreError, UsageError, nearest
from vacli.progress import Progress, RecordingProgress
from vacli.sequences.folds import recording
from vacli.spec import fingerprint
from vacli.steps._batch import DONE, SKIPPED, Batch, Failure, run_each
from vacli.store import Store, VideoView
from vacli.store.schema import safe_id

Key = TypeVar("Key", str, tuple[str, str])
AnyAnnotation = TypeVar("AnyAnnotation", Annotation, DiscreteAnnotation)


@dataclass(frozen=True, kw_only=True)
class ImportLabelsSettings:
    """annotations: a folder or one file. refine: the refinement of training labels
    (`label_refinement.MODES`)."""

    annotations: Path
    store: Path
    refine: label_refinement.Mode = "fill"
    force: bool = False


@dataclass
class ImportLabelsResult(Batch):
    """The batch, annotations without a video (with the reason) and videos without an annotation.

    surplus_rows: trial -> rows minus frames if they differ. rows: source name -> number of rows in the store.
    hidden: number of hidden files, which are left out.
    """

    unmatched: list[Failure] = field(default_factory=list)
    unlabelled: list[str] = field(default_factory=list)
    surplus_rows: dict[str, int] = field(default_factory=dict)
    rows: Counter[str] = field(default_factory=Counter)
    hidden: int = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class _Trial:
    """A video with its annotation and its discrete labels by kind."""

    view: VideoView
    annotation: Annotation
    labels: FrameLabels
    discrete: Mapping[str, DiscreteAnnotation]

    @property
    def is_training(self) -> bool:
        return self.annotation.split not in ("validation", "test")

    def expression(self) -> np.ndarray | None:
        """(N,) class of each frame, -1 where not annotated."""
        if EXPRESSION not in self.discrete:
            return None
        return _on_rows(self.discrete[EXPRESSION].values, len(self.labels.source))[:, 0]


def run(settings: ImportLabelsSettings, progress: Progress | None = None) -> ImportLabelsResult:
    """Read annotations, match them to the store's videos by name, refine and store them."""
    progress = progress or RecordingProgress()
    if settings.refine not in label_refinement.MODES:
        raise UsageError(
            f"--refine {settings.refine} is unknown", hint=nearest(settings.refine, label_refinement.MODES)
        )
    store = Store.open(settings.store)
    result = ImportLabelsResult(settings.store)
    annotations, discrete = _read_all(settings.annotations, result, progress)
    trials = _match(store, annotations, discrete, result, progress)
    statistics = label_refinement.fit(
        ((t.labels.values, e) for t in trials if t.is_training and (e := t.expression()) is not None),
        EXPRESSIONS,
    )

    def work(trial: _Trial) -> str:
        mode = settings.refine if trial.is_training else "off"
        labels = label_refinement.refine(trial.labels, trial.expression(), statistics, mode)
        for name, code in SOURCES.items():
            result.rows[name] += int((labels.source == code).sum())
        return _write(store, trial, labels, mode, settings.force)

    run_each(result, trials, lambda t: t.view.id, work, progress)
    _report(result, progress)
    return result


def _read_all(
    root: Path, result: ImportLabelsResult, progress: Progress
) -> tuple[dict[str, Annotation], dict[tuple[str, str], DiscreteAnnotation]]:
    files, hidden = affwild2.find(root)
    result.hidden = len(hidden)
    annotations: dict[str, Annotation] = {}
    discrete: dict[tuple[str, str], DiscreteAnnotation] = {}
    with progress.task("annotations", len(files), "files") as advance:
        for file in files:
            advance(1)
            try:
                annotation = affwild2.read(file)
                if isinstance(annotation, Annotation):
                    _add(annotations, annotation.trial, annotation)
                else:
                    _add(discrete, (annotation.trial, annotation.kind), annotation)
            except Exception as error:
                result.fail(file.path.stem, error, progress)
    return annotations, discrete


def _add(annotations: dict[Key, AnyAnnotation], key: Key, annotation: AnyAnnotation) -> None:
    if key in annotations:
        raise LabelError(
            f"{annotation.path} and {annotations[key].path} annotate the same trial",
            hint="give one edition at a time",
        )
    annotations[key] = annotation


def _match(
    store: Store,
    annotations: Mapping[str, Annotation],
    discrete: Mapping[tuple[str, str], DiscreteAnnotation],
    result: ImportLabelsResult,
    progress: Progress,
) -> list[_Trial]:
    trials = []
    for trial, annotation in sorted(annotations.items()):
        video = store.find_by_name(trial)
        if video not in store:
            result.unmatched.append(Failure(trial, _unmatched_reason(store, trial)))
            continue
        labels_by_kind = {k: discrete[trial, k] for k in (EXPRESSION, ACTION_UNITS) if (trial, k) in discrete}
        try:
            view = store.video(video)
            labels = on_frames(annotation, view.times_s)
        except Exception as error:
            result.fail(trial, error, progress)
            continue
        trials.append(_Trial(view=view, annotation=annotation, labels=labels, discrete=labels_by_kind))
        surplus = len(annotation.values) - len(labels.source)
        if annotation.times_s is None and surplus:
            result.surplus_rows[trial] = surplus
    result.unlabelled = sorted(set(store.video_ids()) - {t.view.id for t in trials})
    return trials


def _unmatched_reason(store: Store, trial: str) -> str:
    base, side = recording(trial), trial[len(recording(trial)) :]
    if side and safe_id(base) in store:
        return f"the store has only {base}; run `va align --face {side[1:]}` to add that person"
    return "the store has no video of that name"


def _write(store: Store, trial: _Trial, labels: FrameLabels, mode: str, force: bool) -> str:
    identity = _identity(trial, labels)
    if _is_complete(trial.view, force):
        if trial.view.part_attrs("label").get("fingerprint") == identity:
            return SKIPPED
        if not force:
            raise LabelError(f"{trial.view.path} has other labels", hint="use --force to replace them")
    attributes = {
        "split": trial.annotation.split,
        "annotation": trial.annotation.path.name,
        "refine": mode,
        "fingerprint": identity,
        "source_codes": SOURCES,
    }
    with store.stage(trial.view.id, "label", attributes) as writer:
        writer.append("valence", labels.values[:, 0])
        writer.append("arousal", labels.values[:, 1])
        writer.append("source", labels.source)
        if (repaired := labels.source == REPAIRED).any():
            original = np.where(repaired[:, None], trial.labels.values, np.float32(np.nan))
            writer.append("original", original, dims=("dimension",))
        for discrete in trial.discrete.values():
            rows = _on_rows(discrete.values, len(labels.source))
            writer.append(discrete.kind, rows, dims=(f"{discrete.kind}_column",))
            writer.set(**{f"{discrete.kind}_names": list(discrete.names)})
    return DONE


def _is_complete(view: VideoView, force: bool) -> bool:
    """Whether a video has labels; StoreError if they are damaged and `force` is not given."""
    try:
        for array in ("valence", "arousal", "source"):
            if view.has(f"label/{array}"):
                view.check(f"label/{array}")
        return view.has("label")
    except StoreError:
        if not force:
            raise
        return False


def _identity(trial: _Trial, labels: FrameLabels) -> str:
    """A hash of the labels to write, which is equal for equal labels."""
    arrays = [labels.values, labels.source, *(d.values for d in trial.discrete.values())]
    return fingerprint([trial.annotation.split, *(sha256(x.tobytes()).hexdigest() for x in arrays)])


def _on_rows(values: np.ndarray, frames: int) -> np.ndarray:
    """Resize (R, C) discrete labels to (frames, C): surplus rows are dropped, missing ones not annotated."""
    rows = np.full((frames, values.shape[1]), affwild2.IGNORE, np.int8)
    rows[: len(values)] = values[:frames]
    return rows


def _report(result: ImportLabelsResult, progress: Progress) -> None:
    rows = ", ".join(f"{count} {name}" for name, count in result.rows.items() if count)
    matched = len(result.done) + len(result.skipped)
    progress.info(f"{matched} videos labelled ({len(result.skipped)} unchanged); rows: {rows or 'none'}")
    if result.hidden:
        progress.info(f"{result.hidden} hidden files are left out")
    off_by_one = [t for t, n in result.surplus_rows.items() if abs(n) == 1]
    if off_by_one:
        progress.info(f"{len(off_by_one)} annotations differ by one row from their videos' frames")
    for trial, surplus in sorted(result.surplus_rows.items()):
        if abs(surplus) > 1:
            difference = "more" if surplus > 0 else "fewer"
            progress.warn(
                f"{trial}: the annotation has {abs(surplus)} {difference} rows than the video has frames; "
                "they are matched from the first row"
            )
    for failure in result.unmatched:
        progress.warn(f"{failure.name}: {failure.reason}")
    if result.unlabelled:
        first = ", ".join(result.unlabelled[:3])
        progress.warn(f"{len(result.unlabelled)} videos have no annotation ({first} ...)")
