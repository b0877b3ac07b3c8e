"""`va predict` from stores: what was extracted before; apart, since raw recordings need no store."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vacli.errors import StoreError
from vacli.features.flags import MISSING
from vacli.inference import predict_sequence
from vacli.progress import Progress
from vacli.recipe import Model
from vacli.sequences.join import open_sequences
from vacli.spec import AUDIO, VISUAL
from vacli.steps.batch import DONE, Batch, run_each
from vacli.steps.described import FaceRows
from vacli.steps.observe import Observation
from vacli.steps.recordings import is_sound_alone
from vacli.steps.telling import Loaded, Write, hand_over, table
from vacli.store import Store, VideoView


def predict_stores(paths: list[Path], loaded: Loaded, write: Write, batch: Batch, progress: Progress) -> None:
    """Hand `write` a table for every video of the stores; a store that does not fit is named."""
    for path in paths:
        try:
            _predict_store(Store.open(path), loaded, write, batch, progress)
        except StoreError as error:
            batch.fail(str(path), error, progress)


def _predict_store(store: Store, loaded: Loaded, write: Write, batch: Batch, progress: Progress) -> None:
    model, views = loaded.model.recipe.model, store.videos()
    used = frozenset(stream.name for stream in model.streams)
    whole = [v for v in views if loaded.voice is None or not is_sound_alone(v)]
    sequences = dict(zip((v.id for v in whole), open_sequences(whole, model), strict=True))

    def work(view: VideoView) -> str:
        sequence = sequences.get(view.id)
        face_ok = np.zeros(1, bool) if sequence is None else _described(view, model, VISUAL)
        fitting = loaded.fit_for(face_ok).model
        if fitting.recipe.model != model:
            (sequence,) = open_sequences([view], fitting.recipe.model)
        predicted = predict_sequence(fitting, sequence, view.times_s)
        made = table(view.id, _remembered(view, model), predicted, used)
        hand_over(made, write, progress)
        return DONE

    run_each(batch, views, lambda view: view.id, work, progress)


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
