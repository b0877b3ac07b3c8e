"""What `va calibrate` fits to stores of reference: the speech detector and the expected error of faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vacli.errors import LabelError, RunError, StoreError
from vacli.inference.calibration import MIN_FRAMES
from vacli.inference.face_error import FaceErrorModel
from vacli.inference.feature_check import check_stored_features
from vacli.inference.prediction import rows_of
from vacli.inference.run import Run
from vacli.inference.speech_detection import SpeechDetector, speech_context_frames
from vacli.progress import Progress
from vacli.sequences.labels import annotated_labels
from vacli.sequences.stored import open_sequences
from vacli.spec import AUDIO, VISUAL
from vacli.store import Store, VideoView


def labelled_videos(stores: Sequence[Path]) -> list[VideoView]:
    """The labelled videos of stores that are not of a training or test split; LabelError if there is none."""
    views = [v for path in stores for v in Store.open(path).videos() if v.has("label/valence")]
    views = [v for v in views if v.part_attrs("label").get("split") in ("", "validation")]
    if not views:
        names = ", ".join(map(str, stores))
        raise LabelError(f"{names}: no labelled videos to calibrate on", hint="run `va import-labels` first")
    return views


def recording_conditions(views: Sequence[VideoView]) -> np.ndarray:
    """(T,) the conditions under which `va bundled-model import` degraded the frames, "" for others."""
    names = [str(view.part_attrs("label").get("condition", "")) for view in views]
    return np.repeat(names, [len(view.times_s) for view in views])


def fit_speech_detector(model: Run, path: Path, progress: Progress) -> SpeechDetector:
    """A detector of the speech of a store; StoreError without features, RunError if the run has no stream."""
    audio = tuple(stream for stream in model.recipe.model.streams if stream.name == AUDIO)
    if not audio:
        raise RunError(f"{model.path} has no audio stream", hint="leave out --speech-reference")
    views, features = Store.open(path).videos(), []
    with progress.task("speech", len(views), "videos") as advance:
        for rows in open_sequences(views, replace(model.recipe.model, streams=audio)):
            features.append(rows_of(rows, AUDIO, slice(0, len(rows))))
            advance(1)
    frames = [speech_context_frames(view.times_s) for view in views]
    if not any(count and np.isfinite(x).all(1).any() for x, count in zip(features, frames, strict=True)):
        raise StoreError(f"store {path} has no audio features", hint="run `va extract-audio` first")
    return SpeechDetector.fit(features, frames)


def fit_face_error(model: Run, path: Path) -> FaceErrorModel:
    """The expected error of the faces of a store of labelled pictures.

    Raises StoreError without features, LabelError for too few labels, RunError if the run reads no `compact`.
    """
    if [stream.features for stream in model.recipe.model.streams if stream.name == VISUAL] != [("compact",)]:
        raise RunError(f"{model.path} does not predict from `compact`", hint="leave out --face-reference")
    views = [view for view in labelled_videos((path,)) if view.has("feature/compact")]
    if not views:
        raise StoreError(
            f"store {path} has no faces", hint=f"run `va extract-visual {path} --feature compact`"
        )
    check_stored_features(model, views)
    rows = np.concatenate([view.feature("compact")[0] for view in views])
    labels = np.concatenate([annotated_labels(view) for view in views])
    known = np.isfinite(rows).all(axis=1) & np.isfinite(labels).all(axis=1)
    if known.sum() < MIN_FRAMES:
        raise LabelError(f"{path}: fewer than {MIN_FRAMES} labelled faces", hint="add labelled pictures")
    return FaceErrorModel.fit(rows[known], labels[known], recording_conditions(views)[known])
