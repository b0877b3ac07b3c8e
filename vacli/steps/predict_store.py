"""`va predict` from stores: what was extracted before; apart, since raw recordings need no store."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vacli.errors import StoreError
from vacli.features.flags import MISSING
from vacli.inference.prediction import predict_sequence
from vacli.pipeline.face_embedding import FaceRows
from vacli.pipeline.live import Loaded, Write, hand_over, table
from vacli.pipeline.observation import Observation
from vacli.progress import Progress
from vacli.recipe.schema import Model
from vacli.sequences.stored import open_sequences
from vacli.spec import AUDIO, VISUAL
from vacli.steps._batch import DONE, Batch, find_each, run_each
from vacli.steps._provenance import is_sound_alone
from vacli.store import Store, VideoView


def predict_stores(paths: list[Path], loaded: Loaded, write: Write, batch: Batch, progress: Progress) -> None:
    """Hand `write` a table for every video of the stores; a store, or a video, that does not fit is named."""
    model = loaded.model.recipe.model
    used = frozenset(stream.name for stream in model.streams)

    def work(view: VideoView) -> str:
        by_voice = loaded.voice is not None and is_sound_alone(view)
        if not by_voice:
            open_sequences([view], model)
        face_ok = np.zeros(1, bool) if by_voice else _described(view, model, VISUAL)
        fitting = loaded.fit_for(face_ok).model
        (sequence,) = open_sequences([view], fitting.recipe.model)
        predicted = predict_sequence(fitting, sequence, view.times_s)
        made = table(view.id, _remembered(view, model), predicted, used)
        hand_over(made, write, progress)
        return DONE

    views = find_each(paths, lambda path: _videos(path, loaded), batch, progress)
    run_each(batch, views, lambda view: view.id, work, progress)


def _videos(path: Path, loaded: Loaded) -> list[VideoView]:
    """The videos of a store. Raises StoreError where not one has what the model wants."""
    views = Store.open(path).videos()
    if not any(_may_fit(view, loaded) for view in views):
        open_sequences(views, loaded.model.recipe.model)  # raises one error for all of them
    return views


def _may_fit(view: VideoView, loaded: Loaded) -> bool:
    """Whether a video has the features that are wanted, or fails for a reason of its own."""
    try:
        if loaded.voice is not None and is_sound_alone(view):
            return True
        streams = loaded.model.recipe.model.streams
        return all(view.has(f"feature/{name}") for stream in streams for name in stream.features)
    except StoreError:
        return True


def _remembered(view: VideoView, model: Model) -> Observation:
    """What the store knows of a video's faces and sound."""
    faces = FaceRows.nobody(len(view.times_s))
    if view.has("face"):
        faces = FaceRows(view.read("face/found"), view.read("face/score"), view.read("face/box"))
    audio_ok = _described(view, model, AUDIO)
    return Observation(times_s=view.times_s, person=0, faces=faces, audio_ok=audio_ok, features={})


def _described(view: VideoView, model: Model, name: str) -> np.ndarray:
    """(N,) bool: which frames have all features of one of the model's streams; none where it has no such."""
    features = [f for stream in model.streams if stream.name == name for f in stream.features]
    missing = [view.read(f"flag/{feature}") & MISSING for feature in features]
    return ~np.any(missing, axis=0) if missing else np.zeros(len(view.times_s), bool)
