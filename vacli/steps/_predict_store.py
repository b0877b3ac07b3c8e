"""`va predict` from stores with extracted features.

This is a separate module, because the prediction of recordings does not import Zarr.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from vacli.errors import StoreError, UsageError
from vacli.features.flags import MISSING
from vacli.inference.feature_check import check_stored_features
from vacli.inference.prediction import predict_sequence
from vacli.output.frame_table import FrameTable
from vacli.pipeline.face_embedding import FaceDetections
from vacli.pipeline.live import LoadedModel, frame_table
from vacli.pipeline.observation import Observation
from vacli.progress import Progress
from vacli.recipe.schema import Model
from vacli.sequences.stored import face_measures, open_sequences, speech_probability
from vacli.spec import AUDIO, VISUAL
from vacli.steps._batch import Batch, find_each
from vacli.steps._provenance import is_audio_only
from vacli.store import Store, VideoView


def find_views(
    paths: list[Path], loaded: LoadedModel, batch: Batch, progress: Progress, *, allow_mismatch: bool
) -> Iterator[VideoView]:
    """The videos of stores that `stored_table` can predict; `batch` records the stores that fail.

    Raises UsageError if two stores have a video of one name, by which its rows are called.
    """
    _check_names(paths)

    def find(path: Path) -> list[VideoView]:
        views = _videos(path, loaded)
        for note in _check_features(loaded, views, allow_mismatch):
            progress.warn(note)
        return views

    return find_each(paths, find, batch, progress)


def _check_names(paths: list[Path]) -> None:
    owners: dict[str, Path] = {}
    for path in dict.fromkeys(paths) if len(paths) > 1 else ():
        try:
            videos = Store.open(path).video_ids()
        except StoreError:
            continue  # `find_views` reports it
        for video in videos:
            if video in owners:
                raise UsageError(
                    f"{owners[video]} and {path} both have a video {video}",
                    hint="give one store at a time, since rows have only the name of their video",
                )
            owners[video] = path


def stored_table(view: VideoView, loaded: LoadedModel) -> FrameTable:
    """The table of a stored video. Raises StoreError if it is damaged or lacks a feature of the model."""
    model = loaded.model.recipe.model
    used = frozenset(stream.name for stream in model.streams)
    audio_only = _has_audio_model(loaded, view)
    if not audio_only:
        open_sequences([view], model)
    detected = np.zeros(1, bool) if audio_only else _extracted(view, model, VISUAL)
    run = loaded.select_model(detected).model
    (sequence,) = open_sequences([view], run.recipe.model)
    observed = _observation(view, model)
    difficulty = observed.faces.difficulty
    predicted = predict_sequence(run, sequence, view.times_s, observed.voice, difficulty)
    if loaded.speech_model is not None:
        rows = _speech_rows(view, loaded.speech_model)
        predicted = loaded.fused(predicted, {loaded.speech_model: rows}, observed.voice.weight)
        heard = observed.audio_present | np.isfinite(rows).all(axis=1)
        observed, used = replace(observed, audio_present=heard), used | {AUDIO}
    return frame_table(view.id, observed, predicted, used)


def _speech_rows(view: VideoView, name: str) -> np.ndarray:
    """(N, D) the rows of a speech model. Raises StoreError if they are not stored."""
    if not view.has(f"feature/{name}"):
        raise StoreError(
            f"{view.path} has no feature {name}, which --speech-model needs",
            hint=f"va extract-audio {view.path.parent} --feature {name}",
        )
    return view.read(f"feature/{name}")


def _check_features(loaded: LoadedModel, views: list[VideoView], allow: bool) -> tuple[str, ...]:
    """See `check_stored_features`; each video is compared with the run that predicts it."""
    audio_only = [view for view in views if _may_use_audio_model(view, loaded)]
    notes = check_stored_features(loaded.model, [v for v in views if v not in audio_only], allow=allow)
    if loaded.audio_model is not None:
        notes += check_stored_features(loaded.audio_model, audio_only, allow=allow)
    return notes


def _may_use_audio_model(view: VideoView, loaded: LoadedModel) -> bool:
    """As `_has_audio_model`, False for a damaged video, which is reported later."""
    try:
        return _has_audio_model(loaded, view)
    except StoreError:
        return False


def _has_audio_model(loaded: LoadedModel, view: VideoView) -> bool:
    return loaded.audio_model is not None and is_audio_only(view)


def _videos(path: Path, loaded: LoadedModel) -> list[VideoView]:
    """The videos of a store. Raises StoreError if none of them has the model's features."""
    views = Store.open(path).videos()
    if not any(_may_fit(view, loaded) for view in views):
        open_sequences(views, loaded.model.recipe.model)  # raises one error for all of them
    return views


def _may_fit(view: VideoView, loaded: LoadedModel) -> bool:
    """Whether a video has the model's features, or is damaged, which is reported later."""
    try:
        if _has_audio_model(loaded, view):
            return True
        streams = loaded.model.recipe.model.streams
        return all(view.has(f"feature/{name}") for stream in streams for name in stream.features)
    except StoreError:
        return True


def _observation(view: VideoView, model: Model) -> Observation:
    """The stored faces and sound of a video, without features."""
    faces = FaceDetections.empty(len(view.times_s))
    if view.has("face"):
        faces = FaceDetections(detected=view.read("face/detected"), **face_measures(view))
    elif not is_audio_only(view):  # imported features need no stored faces
        faces = replace(faces, detected=_extracted(view, model, VISUAL))
    audio_present = _extracted(view, model, AUDIO)
    return Observation(
        times_s=view.times_s,
        face_id=0,
        faces=faces,
        audio_present=audio_present,
        speaking=np.full(len(view.times_s), np.nan),  # not stored
        level_db=np.full(len(view.times_s), np.nan),  # not stored
        speech=speech_probability(view),
        features={},
    )


def _extracted(view: VideoView, model: Model, name: str) -> np.ndarray:
    """(N,) bool: the frames that have all features of one of the model's streams."""
    features = [f for stream in model.streams if stream.name == name for f in stream.features]
    missing = [view.read(f"flag/{feature}") & MISSING for feature in features]
    return ~np.any(missing, axis=0) if missing else np.zeros(len(view.times_s), bool)
