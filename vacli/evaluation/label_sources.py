"""Labels of predicted videos: those of a store, or of annotation files."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vacli.datasets import affwild2, label_tables
from vacli.datasets.annotation_matching import RaterPattern, closest, folders_of, match
from vacli.datasets.annotation_options import AnnotationOptions
from vacli.datasets.annotations import Annotation, FrameLabels, on_frames, subject_of
from vacli.datasets.label_tables import DEFAULT_RANGE, TableFormat
from vacli.datasets.raters import combine
from vacli.datasets.time_columns import check_unit, first_frame, seems_ms
from vacli.errors import LabelError
from vacli.evaluation.predictions import LabelledTrajectory, PredictedTrajectory
from vacli.sequences.grouping import identity
from vacli.sequences.labels import annotated_labels
from vacli.store import Store
from vacli.store.schema import safe_id

SHOWN = 3  # names in a note
USUAL = AnnotationOptions()


@dataclass(frozen=True)
class Labelled:
    """Predictions with their labels, and the names of the videos that have only one of the two.

    remarks: sentences on the reading of the labels.
    """

    trajectories: Sequence[LabelledTrajectory]
    without_labels: Sequence[str]
    without_prediction: Sequence[str]
    remarks: Sequence[str] = ()

    def notes(self) -> tuple[str, ...]:
        """Sentences on the videos that are not scored, and on the labels."""
        n_predicted, n_absent = len(self.trajectories) + len(self.without_labels), len(self.without_labels)
        notes = (
            f"Predicted videos without labels, which are not scored: {n_absent} of {n_predicted} "
            f"({_some(self.without_labels)}).",
            f"Labelled videos without a prediction: {len(self.without_prediction)} "
            f"({_some(self.without_prediction)}).",
        )
        both = zip(notes, (self.without_labels, self.without_prediction), strict=True)
        return (*(note for note, names in both if names), *self.remarks)


LabelSource = Callable[[Sequence[PredictedTrajectory]], Labelled]


def store_labels(store: Store, split: str | None = None) -> LabelSource:
    """Labels of a store, of one split if given; predictions are resampled to the times of its frames.

    Raises LabelError where two predictions are of one video, or the video of one is not clear.
    """

    def find(predictions: Sequence[PredictedTrajectory]) -> Labelled:
        labelled = {
            view.id: view
            for view in store.videos()
            if view.has("label") and split in (None, view.part_attrs("label").get("split", ""))
        }
        chosen: dict[str, PredictedTrajectory] = {}
        for predicted in predictions:
            if (video := _video_of(predicted, store)) in labelled:
                _put(chosen, video, predicted)
        found = []
        for video, predicted in chosen.items():
            view = labelled[video]
            resampled = predicted.at(view.times_s)
            labels = annotated_labels(view)
            found.append(replace(_trajectory(video, resampled, labels), subject=identity(view).subject))
        return _labelled(predictions, list(chosen.values()), found, labelled.keys() - chosen.keys())

    return find


def annotation_labels(
    annotations: Path, split: str | None = None, options: AnnotationOptions = USUAL
) -> LabelSource:
    """Labels of annotation files, of one split if given, resampled to the predictions' own times.

    They are read, and matched by name and folders, as `va import-labels` does it for the videos of a store.
    Raises UsageError for options that no table can have, LabelError for a file that cannot be read, and where
    the annotation or the person of a video is not clear.
    """
    options.check()
    raters = RaterPattern.of(options.rater_pattern)
    found = [a for a in _read(annotations, options.table_format) if split in (None, a.split)]
    if not found:
        what = "no valence and arousal" if split is None else f"no valence and arousal of the split {split}"
        raise LabelError(f"{annotations}: {what}", hint="check the files and their folders")
    base = annotations.resolve() if annotations.is_dir() else annotations.resolve().parent

    def find(predictions: Sequence[PredictedTrajectory]) -> Labelled:
        videos = _Predictions.of(predictions)
        matches = match(videos, found, base, raters)
        if matches.refused:
            raise matches.refused[0].error
        times = [a.frame_times for items in matches.videos.values() for a in items.values()]
        first = first_frame([t for t in times if t is not None])
        made, other_length = [], []
        for key, items in matches.videos.items():
            predicted = videos.by_key[key]
            frame_labels = {r: _on_frames(a, predicted, first, options) for r, a in items.items()}
            labels = combine(frame_labels, options.raters).labels.values
            name = predicted.video if len(videos.find_by_name(predicted.video)) == 1 else key
            subject = subject_of(name, items.values())
            made.append(replace(_trajectory(name, predicted, labels), subject=subject))
            if any(a.is_by_row and abs(len(a.values) - len(labels)) > 1 for a in items.values()):
                other_length.append(name)
        scored = [videos.by_key[key] for key in matches.videos]
        labelled = _labelled(predictions, scored, made, {item.trial for item, _ in matches.unmatched})
        return replace(labelled, remarks=tuple(_remarks(made, other_length, options)))

    return find


def _remarks(
    made: Sequence[LabelledTrajectory], other_length: Sequence[str], options: AnnotationOptions
) -> Iterator[str]:
    if other_length:
        yield (
            f"Labels without times whose rows are more or fewer than the frames, matched from the first row: "
            f"{len(other_length)} ({_some(other_length)})."
        )
    known = [t.labels[~np.isnan(t.labels).any(axis=1)] for t in made]
    lowest = min((float(values.min()) for values in known if len(values)), default=-1.0)
    if options.table_format.value_range == DEFAULT_RANGE and lowest >= 0:
        yield "No label is below 0; give --range 0 1 if that is the scale of the annotations."


@dataclass(frozen=True)
class _Video:
    source: Mapping[str, str]


@dataclass(frozen=True)
class _Predictions:
    """Predicted videos as `match` needs them."""

    by_key: Mapping[str, PredictedTrajectory]

    @classmethod
    def of(cls, predictions: Sequence[PredictedTrajectory]) -> _Predictions:
        """Raises LabelError where one recording is there twice."""
        chosen: dict[str, PredictedTrajectory] = {}
        for predicted in predictions:
            _put(chosen, predicted.key, predicted)
        return cls({predicted.description: predicted for predicted in chosen.values()})

    def find_by_name(self, name: str) -> list[str]:
        """The keys of the videos of a name."""
        wanted = _composed(name)
        return [key for key, p in self.by_key.items() if wanted in map(_composed, p.names)]

    def video_ids(self) -> list[str]:
        """All keys."""
        return list(self.by_key)

    def video(self, key: str) -> _Video:
        """The path and name of a video."""
        predicted = self.by_key[key]
        return _Video({"path": predicted.input, "name": predicted.video})


def _put(chosen: dict[str, PredictedTrajectory], key: str, predicted: PredictedTrajectory) -> None:
    if (before := chosen.setdefault(key, predicted)) is not predicted:
        raise LabelError(
            f"{before.description} and {predicted.description} are both the predictions of {key}",
            hint="give one of them at a time",
        )


def _video_of(predicted: PredictedTrajectory, store: Store) -> str:
    """The id of a predicted video in a store; any other text if it is not there."""
    whole = safe_id(predicted.video)
    if predicted.video == predicted.names[0] and whole in store:  # an id, not the name of a file
        return whole
    for name in predicted.names:
        videos = store.find_by_name(name)
        if not videos:
            continue
        best, _ = closest(store, videos, folders_of(predicted.input))
        if len(best) > 1:
            raise LabelError(
                f"{predicted.description}: {store.path} has {len(best)} videos of that name",
                hint="predict the store itself, whose videos have ids",
            )
        return best[0]
    return whole


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _read(annotations: Path, table_format: TableFormat) -> list[Annotation]:
    files = affwild2.find(annotations)[0]
    made = [one for file in files for one in label_tables.read(file, table_format)]
    return [one for one in made if isinstance(one, Annotation)]


def _on_frames(
    annotation: Annotation, predicted: PredictedTrajectory, first: int, options: AnnotationOptions
) -> FrameLabels:
    """The labels of one rater; LabelError where the times have another unit, unless seconds are stated."""
    at_s = annotation.seconds(predicted.times_s, first)
    if at_s is not None:
        if seems_ms(predicted.times_s, at_s):
            raise LabelError(
                f"{predicted.description}: time_s is {predicted.times_s[-1]:g} in its last row, and "
                f"{at_s[-1]:g} s in {annotation.path}",
                hint="give predictions with times in seconds",
            )
        try:
            check_unit(at_s, predicted.times_s, annotation.unit)
        except LabelError as error:
            if options.table_format.unit != "s":
                raise LabelError(f"{annotation.path}: {error}", hint=error.hint) from None
    return on_frames(annotation, predicted.times_s, first, options.delay_s)


def _trajectory(video: str, predicted: PredictedTrajectory, labels: np.ndarray) -> LabelledTrajectory:
    return LabelledTrajectory(
        video=video,
        times_s=predicted.times_s,
        predicted=predicted.values,
        labels=labels,
        uncertainty=predicted.uncertainty,
    )


def _labelled(
    predictions: Sequence[PredictedTrajectory],
    scored: Sequence[PredictedTrajectory],
    trajectories: Sequence[LabelledTrajectory],
    without_prediction: set[str],
) -> Labelled:
    done = set(map(id, scored))
    absent = [p.label_description for p in predictions if id(p) not in done]
    return Labelled(trajectories, absent, sorted(without_prediction))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
