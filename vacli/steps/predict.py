"""`va predict`: from recordings, or stores, to tables of valence and arousal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vacli import inference
from vacli.errors import InputError, PackageMissing, RunError, StoreError
from vacli.faces.choose import check_choice
from vacli.faces.stills import Aligner
from vacli.features.flags import MISSING
from vacli.features.registry import create
from vacli.features.running import Running, pick_device
from vacli.media.inputs import MediaInput, find_media, pictures_of
from vacli.output.frame_table import FrameTable, modality
from vacli.progress import Progress, Quiet
from vacli.recipe import Model
from vacli.sequences.join import open_sequences
from vacli.sequences.records import Sequence
from vacli.spec import AUDIO, VISUAL, FeatureSpec
from vacli.steps import observe
from vacli.steps.batch import DONE, Batch, run_each
from vacli.steps.described import FaceRows
from vacli.store import Store, VideoView

Write = Callable[[FrameTable], None]
STILL_FEATURE = "compact"  # the bundled model reads single pictures with its face network alone
FREE = frozenset({"dtype", "every"})  # settings that change a feature's precision, not its meaning


@dataclass(frozen=True, kw_only=True)
class PredictSettings:
    """What to predict, with which run (None: the bundled one), for whose face.

    `weights` are those of the visual feature where the model needs others than it is known by.
    """

    inputs: tuple[Path, ...]
    model: Path | None = None
    weights: Path | None = None
    face: str = "largest"
    stills: bool = False
    backend: str = "auto"
    device: str = "auto"


def run(settings: PredictSettings, write: Write, progress: Progress = Quiet()) -> Batch:
    """Hand `write` one table a person and input, in order; what fails is named and the rest goes on."""
    check_choice(settings.face)
    model = inference.load_run(settings.model or inference.BUNDLED, pick_device(settings.device))
    batch = Batch(model.path)
    stores = [path for path in settings.inputs if (path / "zarr.json").is_file()]
    for path in stores:
        try:
            _predict_store(Store.open(path), model, write, batch, progress)
        except StoreError as error:
            batch.fail(str(path), error, progress)
    media = list(_media(settings, stores, batch, progress))
    if media:
        look = observe.Look(
            senses(model, settings, progress), settings.face, settings.backend, sparse=settings.model is None
        )
        used = frozenset(k for k, v in ((VISUAL, look.senses.visual), (AUDIO, look.senses.audio)) if v)

        def work(item: MediaInput) -> str:
            for seen in _observations(item, look, progress):
                name = str(item.path)
                if item.kind == "image" and settings.model is None:
                    rows = seen.features[STILL_FEATURE]
                    predicted = inference.predict_stills(model, rows, name, seen.times_s)
                else:
                    sequence = _sequence(name, seen, model.recipe.model)
                    predicted = inference.predict_sequence(model, sequence, seen.times_s)
                write(_table(name, seen, predicted, used))
            return DONE

        run_each(batch, media, lambda item: str(item.path), work, progress)
    return batch


def senses(model: inference.Run, settings: PredictSettings, progress: Progress) -> observe.Senses:
    """The extractors that a run's features need; without openSMILE the voice is left out, aloud."""
    device = {"running": Running(device=settings.device), "weights": settings.weights}
    streams = {stream.name: stream.features for stream in model.recipe.model.streams}
    visual = {name: create(name, **device) for name in streams.get(VISUAL, ())}
    try:
        audio = {name: create(name) for name in streams.get(AUDIO, ())}
    except PackageMissing as error:
        progress.warn(f"the sound is left out: {error.one_line()}")
        audio = {}
    for name, extractor in (visual | audio).items():
        _check_made_alike(model, name, extractor.spec)
    return observe.Senses(visual, audio)


def _check_made_alike(model: inference.Run, name: str, spec: FeatureSpec) -> None:
    """Raises RunError where a feature would be made in another way than the run was trained on."""
    trained, own = model.features.get(name, {}), json.loads(json.dumps(spec.attributes()))
    settings = trained.get("settings", {})
    other = [
        key
        for key in settings.keys() & own["settings"].keys() - FREE
        if settings[key] != own["settings"][key]
    ]
    if trained and (other or trained["version"] != own["version"]):
        raise RunError(
            f"{model.path} was trained on {name} with other {', '.join(sorted(other)) or 'version'}",
            hint="give --weights with what `va extract-visual` was given, or predict from a store",
        )


def _observations(media: MediaInput, look: observe.Look, progress: Progress) -> list[observe.Observation]:
    if media.kind == "video":
        return observe.observe_video(media.path, look, progress)
    if media.kind == "crops":
        return [observe.observe_crops(media.path, look.senses, progress)]
    if media.kind == "image":
        return [observe.observe_still(media.path, look, Aligner())]
    return [observe.observe_sound(media.path, look.senses)]


def _media(
    settings: PredictSettings, stores: list[Path], batch: Batch, progress: Progress
) -> Iterator[MediaInput]:
    """What the inputs lead to; pictures only with `stills`, and then nothing else."""
    told: set[Path] = set()
    for path in settings.inputs:
        if path in stores:
            continue
        try:
            found = find_media([path])
            if settings.stills:
                found = [picture for media in found for picture in pictures_of(media)]
            fitting = [m for m in found if (m.kind == "image") == settings.stills]
            if not fitting:
                raise _unfitting(path, settings.stills)
        except InputError as error:
            batch.fail(str(path), error, progress)
        else:
            yield from (m for m in fitting if m.path.resolve() not in told)
            told |= {m.path.resolve() for m in fitting}


def _unfitting(path: Path, stills: bool) -> InputError:
    if stills:
        return InputError(f"{path} holds no pictures", hint="leave out --stills for videos and sound")
    return InputError(f"{path} holds only pictures", hint="add --stills to take every picture for itself")


def _sequence(name: str, seen: observe.Observation, model: Model) -> Sequence:
    streams = {}
    for stream in model.streams:
        if all(feature in seen.features for feature in stream.features):
            streams[stream.name] = np.concatenate([seen.features[f] for f in stream.features], axis=1)
        else:
            streams[stream.name] = np.full((len(seen.times_s), stream.dim), np.nan, np.float32)
    return Sequence(video=name, times_s=seen.times_s, streams=streams)


def _table(
    name: str, seen: observe.Observation, predicted: inference.Trajectory, used: frozenset[str]
) -> FrameTable:
    """`used` are the streams that the model was given; the others do not count for `modality`."""
    found, box = seen.faces.found, seen.faces.box
    spread = np.full_like(predicted.values, np.nan) if predicted.sd is None else predicted.sd
    columns = {
        "frame": np.arange(len(seen.times_s)),
        "time_s": seen.times_s,
        "valence": predicted.values[:, 0],
        "arousal": predicted.values[:, 1],
        "face_ok": found,
        "audio_ok": seen.audio_ok,
        "modality": modality(found & (VISUAL in used), seen.audio_ok & (AUDIO in used)),
        "valence_sd": spread[:, 0],
        "arousal_sd": spread[:, 1],
        "face_score": seen.faces.score,
        "face_x": box[:, 0],
        "face_y": box[:, 1],
        "face_w": box[:, 2] - box[:, 0],
        "face_h": box[:, 3] - box[:, 1],
        "person": np.full(len(found), seen.person),
    }
    return FrameTable(name, columns)


def _predict_store(
    store: Store, model: inference.Run, write: Write, batch: Batch, progress: Progress
) -> None:
    views = store.videos()
    used = frozenset(stream.name for stream in model.recipe.model.streams)
    sequences = dict(zip((v.id for v in views), open_sequences(views, model.recipe.model), strict=True))

    def work(view: VideoView) -> str:
        sequence = sequences[view.id]
        predicted = inference.predict_sequence(model, sequence, view.times_s)
        write(_table(view.id, _remembered(view, model.recipe.model), predicted, used))
        return DONE

    run_each(batch, views, lambda view: view.id, work, progress)


def _remembered(view: VideoView, model: Model) -> observe.Observation:
    """What the store knows of a video's faces and sound."""
    faces = FaceRows.nobody(len(view.times_s))
    if view.has("face"):
        faces = FaceRows(view.read("face/found"), view.read("face/score"), view.read("face/box"))
    heard = [f for stream in model.streams if stream.name == AUDIO for f in stream.features]
    missing = [view.read(f"flag/{feature}") & MISSING for feature in heard]
    audio_ok = ~np.any(missing, axis=0) if missing else np.zeros(len(view.times_s), bool)
    return observe.Observation(times_s=view.times_s, person=0, faces=faces, audio_ok=audio_ok, features={})
