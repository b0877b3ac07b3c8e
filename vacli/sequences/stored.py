"""A stored video as the input of a model: the features of its streams, concatenated."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from vacli.errors import StoreError
from vacli.faces.quality import face_difficulty
from vacli.features.encoder_frames import ENCODER_DATA, Use, strongest
from vacli.features.flags import ENCODER_TRAINING, MISSING
from vacli.recipe.schema import Model, Stream
from vacli.sequences.base import FeatureSequence
from vacli.sequences.labels import Annotation, annotated_labels, read_annotation
from vacli.spec import AUDIO, IMPORTED, SPEECH
from vacli.store.reader import VideoView


class StoredSequence:
    """A video's rows on disk; only the frame times, labels and missing rows are kept in memory."""

    def __init__(self, view: VideoView, model: Model) -> None:
        """Raises StoreError where features are missing or have another width than the model requires."""
        _check_present([view], model)
        self.view = view
        self._streams = {stream.name: stream for stream in model.streams}
        self.video = view.id
        self.widths = {f: _width(view, f) for stream in model.streams for f in stream.features}
        for stream in model.streams:
            _check_width(view, stream, self.widths)

    def __len__(self) -> int:
        return len(self.times_s)

    @cached_property
    def times_s(self) -> np.ndarray:
        """(T,) float64 seconds."""
        return self.view.times_s

    @property
    def dims(self) -> dict[str, int]:
        """Columns of each stream."""
        return {name: stream.dim for name, stream in self._streams.items()}

    @cached_property
    def labels(self) -> np.ndarray | None:
        """(T, 2) float32 valence and arousal, NaN where not annotated (`annotated_labels`), or None."""
        return annotated_labels(self.view) if self.view.has("label") else None

    @cached_property
    def annotation(self) -> Annotation:
        """The stored labels before their refinement, whatever `labels` is."""
        return read_annotation(self.view)

    def with_labels(self, labels: np.ndarray) -> StoredSequence:
        """The same video with other labels (T, 2), such as refined ones for training."""
        self._flags  # noqa: B018 - read once for all copies, such as those of the folds
        changed = copy.copy(self)
        changed.labels = labels
        return changed

    @cached_property
    def split(self) -> str:
        """The annotation's own split ("train", "validation", "test"), or "" where unknown."""
        return str(self.view.part_attrs("label").get("split", "")) if self.view.has("label") else ""

    def fill(self, start: int, out: Mapping[str, np.ndarray]) -> None:
        """Write rows start, start + 1, ... into `out`, as in `FeatureRows`."""
        for name, rows in out.items():
            column = 0
            for feature in self._streams[name].features:
                width = self.widths[feature]
                self._fill_feature(feature, start, rows[:, column : column + width])
                column += width

    def check(self) -> None:
        """Raise StoreError where a feature is damaged."""
        for feature in self.widths:
            self.view.check(f"feature/{feature}")
            self.view.check(f"flag/{feature}")

    def load(self) -> FeatureSequence:
        """The whole video in memory."""
        streams = {name: np.empty((len(self), dim), np.float32) for name, dim in self.dims.items()}
        self.fill(0, streams)
        return FeatureSequence(
            video=self.video, times_s=self.times_s, streams=streams, labels=self.labels, split=self.split
        )

    def _fill_feature(self, feature: str, start: int, out: np.ndarray) -> None:
        self.view.read_into(f"feature/{feature}", start, out)
        missing = self._missing_rows[feature]
        if missing is not None:
            out[missing[start : start + len(out)]] = np.nan

    @cached_property
    def encoder_rows(self) -> np.ndarray:
        """(T,) bool: whether the encoder of a feature was fine-tuned on the frame."""
        return np.any([flags & ENCODER_TRAINING for flags in self._flags.values()], axis=0)

    @cached_property
    def encoder_use(self) -> Use:
        """How the encoder of a feature used this video or its subject when it was fine-tuned."""
        records = [self.view.part_attrs(f"feature/{f}").get(ENCODER_DATA, {}) for f in self.widths]
        return strongest(use for record in records for use in record.values())

    @cached_property
    def _missing_rows(self) -> dict[str, np.ndarray | None]:
        missing = {feature: (flags & MISSING) != 0 for feature, flags in self._flags.items()}
        return {feature: rows if rows.any() else None for feature, rows in missing.items()}

    @cached_property
    def _flags(self) -> dict[str, np.ndarray]:
        return {feature: self.view.read(f"flag/{feature}") for feature in self.widths}


def open_sequences(views: Sequence[VideoView], model: Model) -> list[StoredSequence]:
    """All videos as a model's sequences.

    Raises StoreError with all missing features, the number of videos, and the commands that extract them.
    """
    _check_present(views, model)
    return [StoredSequence(view, model) for view in views]


def _check_present(views: Sequence[VideoView], model: Model) -> None:
    """Raise StoreError if a video lacks a feature of the model."""
    missing = []
    for stream in model.streams:
        for feature in stream.features:
            without = [view for view in views if not view.has(f"feature/{feature}")]
            if without:
                missing.append(_missing_feature(without, views, stream, feature))
    if missing:
        commands = list(dict.fromkeys(command for _, command in missing))
        raise StoreError(
            "; ".join(what for what, _ in missing),
            hint=f"make {'it' if len(missing) == 1 else 'them'} with `{'` and `'.join(commands)}`",
        )


def _missing_feature(
    without: Sequence[VideoView], views: Sequence[VideoView], stream: Stream, feature: str
) -> tuple[str, str]:
    """A sentence about a missing feature, and the command that makes it."""
    first, count = without[0], len(views)
    where = first.path if count == 1 else f"{len(without)} of {count} videos ({first.path}, ...)"
    others = [view for view in views if view not in without]
    if others and IMPORTED in others[0].part_attrs(f"feature/{feature}").get("settings", {}):
        command = f"va import-feature {feature} ARRAYS {first.path.parent}"
    else:
        command = extract_command(first.path.parent, stream, feature)
    return f"no feature {feature!r} in {where}; the model's stream {stream.name!r} needs it", command


def extract_command(store: Path, stream: Stream, feature: str) -> str:
    """The command that extracts a feature of a stream, which may have a tag (NAME@TAG), into a store."""
    name, _, tag = feature.partition("@")
    command = "va extract-audio" if stream.name == AUDIO else "va extract-visual"
    weights = " --weights RUN" if tag == "finetuned" else ""  # the run of `va finetune-mae`
    return f"{command} {store} --feature {name}{weights}" + (f" --tag {tag}" if tag else "")


def _width(view: VideoView, feature: str) -> int:
    return int(view.part_attrs(f"feature/{feature}")["dim"])


def _check_width(view: VideoView, stream: Stream, widths: Mapping[str, int]) -> None:
    have = {feature: widths[feature] for feature in stream.features}
    if sum(have.values()) != stream.dim:
        listed = ", ".join(f"{name} {width}" for name, width in have.items())
        raise StoreError(
            f"{view.path}: stream {stream.name!r} has {sum(have.values())} columns ({listed}), "
            f"the model wants {stream.dim}",
            hint="extract with the settings that the model was made for, or change the recipe",
        )


def face_measures(view: VideoView) -> dict[str, np.ndarray]:
    """score (T,), box (T, 4), landmarks (T, 5, 2), sharpness (T,) of stored faces, NaN where not stored."""
    count = len(view.times_s)
    shapes = {"score": (count,), "box": (count, 4), "landmarks": (count, 5, 2), "sharpness": (count,)}
    return {
        name: view.read(f"face/{name}") if view.has(f"face/{name}") else np.full(shape, np.nan)
        for name, shape in shapes.items()
    }


def stored_difficulty(view: VideoView) -> np.ndarray:
    """(T,) `faces.quality.face_difficulty` of the stored faces of a video, 0 where nothing is known.

    A picture without a detected face, whose features are those of the whole picture, has the difficulty 1.
    """
    difficulty = face_difficulty(**face_measures(view))
    if view.attrs.get("stream", {}).get("kind") != "images" or not view.has("face/detected"):
        return difficulty
    return np.where(view.read("face/detected"), difficulty, 1.0)


def speech_probability(view: VideoView) -> np.ndarray:
    """(T,) the probability of speech at each row of a video, NaN without the feature `speech`."""
    if not view.has(f"feature/{SPEECH}"):
        return np.full(len(view.times_s), np.nan)
    return view.feature(SPEECH)[0][:, 0]
