"""Read annotations, match them to the videos of a store, and combine the raters of each video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vacli.datasets import affwild2, label_tables
from vacli.datasets.affwild2 import ACTION_UNITS, EXPRESSION, DiscreteAnnotation
from vacli.datasets.annotation_matching import Matches, RaterPattern, match
from vacli.datasets.annotation_options import AnnotationOptions
from vacli.datasets.annotations import OUTSIDE, Annotation, FrameLabels, on_frames, subject_of
from vacli.datasets.label_tables import DEFAULT_RANGE, TableFormat
from vacli.datasets.raters import AgreementCount, CombinedLabels, agreement, combine
from vacli.datasets.subjects import Subjects
from vacli.datasets.time_columns import check_unit, first_frame
from vacli.errors import LabelError
from vacli.progress import Progress
from vacli.steps._batch import Batch, Failure
from vacli.store import Store, VideoView


@dataclass(frozen=True, kw_only=True)
class TrialOptions(AnnotationOptions):
    """The reading of annotations, and the persons in the videos."""

    subjects: Subjects | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Trial:
    """A video with its labels, its discrete labels by kind, and the attributes to store with them."""

    view: VideoView
    path: Path
    split: str
    subject: str
    labels: FrameLabels
    discrete: Mapping[str, DiscreteAnnotation]
    attributes: Mapping[str, object]

    @property
    def is_training(self) -> bool:
        """Whether the labels may be refined."""
        return self.split not in ("validation", "test")

    @property
    def is_labelled(self) -> bool:
        """Whether a frame is annotated, with valence and arousal or an expression."""
        expression = self.expression()
        any_expression = expression is not None and bool((expression >= 0).any())
        return any_expression or not bool(np.isnan(self.labels.values).any(axis=1).all())

    @property
    def lowest(self) -> float:
        """The lowest value of valence and arousal, infinite without a label."""
        return float(np.min(self.labels.values, initial=np.inf, where=~np.isnan(self.labels.values)))

    def expression(self) -> np.ndarray | None:
        """(N,) class of each frame, -1 where not annotated."""
        if EXPRESSION not in self.discrete:
            return None
        return on_rows(self.discrete[EXPRESSION].values, len(self.labels.source))[:, 0]


@dataclass
class Trials:
    """The trials, the annotations without a video, and what to report of them.

    surplus_rows: trial -> rows minus frames if they differ. first_frame: the number of the first frame, None
    without frame numbers. without_subject: videos that the table or pattern of subjects does not have.
    sparse: videos whose labels have times on less than half of their frames. beyond: videos whose labels
    end far beyond them, in the order of reading.
    """

    trials: list[Trial] = field(default_factory=list)
    unmatched: list[Failure] = field(default_factory=list)
    surplus_rows: dict[str, int] = field(default_factory=dict)
    hidden: int = 0
    first_frame: int | None = None
    notes: list[str] = field(default_factory=list)
    without_subject: list[str] = field(default_factory=list)
    sparse: list[str] = field(default_factory=list)
    beyond: dict[str, None] = field(default_factory=dict)
    agreement: AgreementCount = field(default_factory=AgreementCount)


def read_trials(root: Path, store: Store, options: TrialOptions, batch: Batch, progress: Progress) -> Trials:
    """Read all annotations of a folder or file and match them; those that fail are recorded in `batch`."""
    options.check()
    files, hidden = affwild2.find(root)
    base = root.resolve() if root.is_dir() else root.resolve().parent
    annotations, discrete = _read_all(files, options.table_format, batch, progress)
    matches = match(store, annotations, base, RaterPattern.of(options.rater_pattern))
    _record_refused(matches, batch, progress)
    by_kind = {
        kind: _match_kind(store, [d for d in discrete if d.kind == kind], base, batch, progress)
        for kind in (EXPRESSION, ACTION_UNITS)
    }
    frame_times = [a.frame_times for items in matches.videos.values() for a in items.values()]
    numbered = [times for times in frame_times if times is not None and times.whole_s is None]
    found = Trials(
        unmatched=[Failure(item.trial, reason) for item, reason in matches.unmatched],
        hidden=len(hidden),
        first_frame=first_frame(numbered) if numbered else None,
        notes=list(dict.fromkeys(note for a in annotations for note in a.notes)),
    )
    for video, items in matches.videos.items():
        name = next(iter(items.values())).trial
        kinds = {kind: of_kind[video] for kind, of_kind in by_kind.items() if video in of_kind}
        try:
            _add(found, store.video(video), items, kinds, options)
        except Exception as error:
            batch.fail(name, error, progress)
    return found


def on_rows(values: np.ndarray, frames: int) -> np.ndarray:
    """Resize (R, C) discrete labels to (frames, C): surplus rows are dropped, missing ones not annotated."""
    rows = np.full((frames, values.shape[1]), affwild2.IGNORE, np.int8)
    rows[: len(values)] = values[:frames]
    return rows


def _read_all(
    files: Sequence[affwild2.LabelFile], table_format: TableFormat, batch: Batch, progress: Progress
) -> tuple[list[Annotation], list[DiscreteAnnotation]]:
    annotations: list[Annotation] = []
    discrete: list[DiscreteAnnotation] = []
    with progress.task("annotations", len(files), "files") as advance:
        for file in files:
            advance(1)
            try:
                for one in label_tables.read(file, table_format):
                    if isinstance(one, Annotation):
                        annotations.append(one)
                    else:
                        discrete.append(one)
            except Exception as error:
                batch.fail(file.path.stem, error, progress)
    return sorted(annotations, key=lambda a: a.trial), discrete


def _match_kind(
    store: Store, discrete: Sequence[DiscreteAnnotation], base: Path, batch: Batch, progress: Progress
) -> dict[str, DiscreteAnnotation]:
    """Video -> annotation of one kind. One without a video is left out, as its valence and arousal are."""
    matches = match(store, discrete, base)
    _record_refused(matches, batch, progress)
    return {video: next(iter(items.values())) for video, items in matches.videos.items()}


def _record_refused(matches: Matches[Any], batch: Batch, progress: Progress) -> None:
    for refusal in matches.refused:
        batch.fail(refusal.name, refusal.error, progress)


def _add(
    found: Trials,
    view: VideoView,
    items: Mapping[str, Annotation],
    discrete: Mapping[str, DiscreteAnnotation],
    options: TrialOptions,
) -> None:
    """Combine the raters of a video and add it to the trials."""
    annotation = next(iter(items.values()))
    combined = combine(
        {rater: _labels(a, view, found, options) for rater, a in items.items()}, options.raters
    )
    is_timed = not annotation.is_by_row
    if is_timed and np.isnan(combined.labels.values).all() and not discrete:
        raise LabelError(
            f"{annotation.path}: no frame of {view.id} has a label", hint="check the times and their unit"
        )
    if is_timed and (combined.labels.source == OUTSIDE).mean() > 0.5:
        found.sparse.append(view.id)
    subject = _subject(view, items, found, options.subjects)
    surplus = len(annotation.values) - len(view.times_s)
    if not is_timed and surplus:
        found.surplus_rows[annotation.trial] = surplus
    found.agreement.add(combined)
    found.trials.append(
        Trial(
            view=view,
            path=annotation.path,
            split=annotation.split,
            subject=subject,
            labels=combined.labels,
            discrete=discrete,
            attributes=_attributes(combined, options),
        )
    )


def _labels(annotation: Annotation, view: VideoView, found: Trials, options: TrialOptions) -> FrameLabels:
    """The labels of one rater on the frames of a video; LabelError where the times have another unit.

    Seconds that the user has stated may end far beyond the video; they are recorded.
    """
    first, unit = found.first_frame or 0, options.table_format.unit
    at_s = annotation.seconds(view.times_s, first)
    if at_s is not None:
        try:
            check_unit(at_s, view.times_s, annotation.unit)
        except LabelError as error:
            if unit != "s":
                raise LabelError(f"{annotation.path}: {error}", hint=error.hint) from None
            found.beyond.setdefault(view.id)
    return on_frames(annotation, view.times_s, first, options.delay_s)


def _subject(
    view: VideoView, items: Mapping[str, Annotation], found: Trials, subjects: Subjects | None
) -> str:
    """The person in a video: from the user's table or pattern, else from the annotations."""
    if subjects is not None:
        subject = subjects.of(view.id)
        if subject is None:
            found.without_subject.append(view.id)
        return subject or ""
    return subject_of(view.id, items.values())


def _attributes(combined: CombinedLabels, options: TrialOptions) -> dict[str, object]:
    """How the labels were made, where it is not the usual way."""
    made: dict[str, object] = {}
    if options.table_format.value_range != DEFAULT_RANGE:
        made["value_range"] = list(options.table_format.value_range)
    if options.delay_s:
        made["delay_s"] = options.delay_s
    if combined.moments:
        made["raters"] = {"method": options.raters, "weights": combined.weights}
        scores = agreement(combined.moments)
        made["agreement"] = {dimension: score.attributes() for dimension, score in scores.items()}
    return made
