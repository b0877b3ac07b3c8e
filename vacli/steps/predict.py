"""`va predict`: from recordings, or stores, to tables of valence and arousal."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from vacli.errors import InputError, PackageMissing, RunError
from vacli.faces.selection import check_choice
from vacli.features.registry import create
from vacli.inference.prediction import predict_stills
from vacli.inference.run import BUNDLED, BUNDLED_AUDIO, Run, load_run
from vacli.media.inputs import pictures_of
from vacli.media.kinds import MediaInput, settled
from vacli.media.video import check_backend
from vacli.output.frame_table import FrameTable
from vacli.pipeline import observation
from vacli.pipeline.live import Live, Loaded, Telling, Write, hand_over, heard_alone, on_clock, table
from vacli.progress import Progress, Quiet
from vacli.runtime.options import Running, device_name
from vacli.spec import AUDIO, VISUAL, FeatureSpec
from vacli.steps._batch import DONE, Batch, run_each
from vacli.steps._inputs import usable

STILL_FEATURE = "compact"  # the bundled model reads single pictures with its face network alone
WITH_SOUND = ("video", "sound")  # kinds of input; whether there is a picture too, the file itself says
FREE = frozenset({"dtype", "every"})  # settings that change a feature's precision, not its meaning


@dataclass(frozen=True, kw_only=True)
class PredictSettings:
    """What to predict, with which run (None: the bundled one), for whose face.

    `weights` are those of the visual feature where the model needs others than it is known by. `live`: the
    rows of whoever opens a video alone are told while it is being watched (`telling.Live`). `audio_track`:
    the number of the audio stream, from 1; None for the one that `media.audio_tracks` chooses.
    """

    inputs: tuple[Path, ...]
    model: Path | None = None
    weights: Path | None = None
    face: str = "largest"
    stills: bool = False
    backend: str = "auto"
    device: str = "auto"
    audio_track: int | None = None
    live: bool = False


def run(settings: PredictSettings, write: Write, progress: Progress = Quiet()) -> Batch:
    """Hand `write` the tables of each person and input, in order; what fails is named and the rest goes on.

    A person has one table, or with `live` several that follow each other.
    """
    check_choice(settings.face)
    check_backend(settings.backend)
    loaded = _load(settings, progress)
    batch = Batch(loaded.model.path)
    stores = [path for path in settings.inputs if os.path.isfile(path / "zarr.json")]
    if stores:
        from vacli.steps.predict_store import predict_stores

        predict_stores(stores, loaded, write, batch, progress)
    media = _media(settings, stores, batch, progress)
    work = _Work(settings, loaded, write, progress)
    return run_each(batch, media, lambda item: str(item.path), work.predict, progress)


def _load(settings: PredictSettings, progress: Progress) -> Loaded:
    """The run on its device; the bundled one needs no GPU, and torch only to look for one."""
    device = "cpu" if settings.model is None and settings.device == "auto" else device_name(settings.device)
    model = load_run(settings.model or BUNDLED, device, progress)
    made = senses(model, settings, progress)
    if settings.model is not None:
        return Loaded(model, made)
    voice = load_run(BUNDLED_AUDIO, device)
    for name, extractor in made.audio.items():
        _check_made_alike(voice, name, extractor.spec)
    return Loaded(model, made, voice)


@dataclass(frozen=True)
class _Work:
    """From one recording to its tables."""

    settings: PredictSettings
    loaded: Loaded
    write: Write
    progress: Progress

    def predict(self, named: MediaInput) -> str:
        settings, name, item = self.settings, str(named.path), settled(named)
        bundled = settings.model is None
        look = observation.Look(
            self.loaded.senses, settings.face, settings.backend, sparse=bundled, track=settings.audio_track
        )
        if item.kind == "image" and not settings.stills:
            raise _unfitting(item.path, stills=False)
        if item.kind == "video":
            self._predict_video(item.path, look)
        elif item.kind == "image" and bundled:
            self._predict_still(observation.observe_still(item.path, look, self.progress), name)
        else:
            seen = _observed(item, look, self.progress)
            telling = Telling(name, self.loaded.fit_for(seen.faces.found), seen.times_s)
            hand_over(telling.rest(seen), self.write, self.progress)
        return DONE

    def _predict_video(self, path: Path, look: observation.Look) -> None:
        live = None
        if self.settings.live and self.settings.face == "largest":
            live = Live(str(path), self.loaded, self.write)
        for seen in observation.observe_video(path, look, self.progress, live):
            telling = live.telling if live else None
            if telling is None and self._is_heard_alone(seen):
                made = self._by_voice(path, seen, look)
            else:
                fitting = self.loaded.fit_for(seen.faces.found)
                made = (telling or Telling(str(path), fitting, seen.times_s)).rest(seen)
            hand_over(made, self.write, self.progress)

    def _is_heard_alone(self, seen: observation.Observation) -> bool:
        """Whether a video shows no face and there is a model of its own for its sound."""
        listening = self.loaded.voice is not None and bool(self.loaded.senses.audio)
        return listening and bool(seen.audio_ok.any()) and not seen.faces.found.any()

    def _by_voice(self, path: Path, seen: observation.Observation, look: observation.Look) -> FrameTable:
        """As its sound by itself: that model knows the sound's clock, whatever the frame rate."""
        loaded = self.loaded.fit_for(seen.faces.found)
        sound = observation.observe_sound(path, look, Quiet())  # what is to be said of it was said
        predicted = on_clock(heard_alone(str(path), loaded, sound), seen.times_s)
        return table(str(path), seen, predicted, loaded.used)

    def _predict_still(self, seen: observation.Observation, name: str) -> None:
        loaded = self.loaded
        predicted = predict_stills(loaded.model, seen.features[STILL_FEATURE], name, seen.times_s)
        self.write(table(name, seen, predicted, loaded.used))


def senses(model: Run, settings: PredictSettings, progress: Progress) -> observation.Senses:
    """The extractors that a run's features need; without openSMILE the voice is left out, aloud."""
    device = {"running": Running(device=settings.device), "weights": settings.weights}
    streams = {stream.name: stream.features for stream in model.recipe.model.streams}
    visual = {name: create(name, **device) for name in streams.get(VISUAL, ())}
    try:
        audio = {name: create(name) for name in streams.get(AUDIO, ())}
    except PackageMissing as error:
        if error.package != "opensmile":  # which is left out for its licence; the rest can be had
            raise
        progress.warn(f"the sound is left out: {error.one_line()}")
        audio = {}
    for name, extractor in (visual | audio).items():
        _check_made_alike(model, name, extractor.spec)
    for stream in model.recipe.model.streams:
        widths = [(visual | audio)[name].spec.dim for name in stream.features if name in visual | audio]
        if len(widths) == len(stream.features) > 0 and sum(widths) != stream.dim:
            raise RunError(
                f"{model.path} wants {stream.dim} columns of {stream.name}, its features make {sum(widths)}",
                hint="predict from a store that has what it was trained on",
            )
    return observation.Senses(visual, audio)


def _check_made_alike(model: Run, name: str, spec: FeatureSpec) -> None:
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


def _observed(media: MediaInput, look: observation.Look, progress: Progress) -> observation.Observation:
    if media.kind == "crops":
        return observation.observe_crops(media.path, look.senses, progress)
    if media.kind == "image":
        return observation.observe_still(media.path, look, progress)
    return observation.observe_sound(media.path, look, progress)


def _media(
    settings: PredictSettings, stores: list[Path], batch: Batch, progress: Progress
) -> list[MediaInput]:
    """What the inputs lead to; pictures only with `stills`, and then nothing else."""

    def use(media: MediaInput) -> list[MediaInput] | str:
        if not settings.stills:
            return "a picture: add --stills" if media.kind == "image" else [media]
        pictures = [one for one in pictures_of(media) if one.kind == "image"]
        return pictures or "no picture: leave out --stills"

    paths = [path for path in settings.inputs if path not in stores]
    return usable(paths, use, partial(_unfitting, stills=settings.stills), batch, progress)


def _unfitting(path: Path, stills: bool) -> InputError:
    if stills:
        return InputError(f"{path} holds no pictures", hint="leave out --stills for videos and sound")
    what = "holds only pictures" if path.is_dir() else "is a picture"
    return InputError(f"{path} {what}", hint="add --stills to take every picture for itself")
