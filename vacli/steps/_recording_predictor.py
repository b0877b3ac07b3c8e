"""Predict the tables of one recording after another with one loaded model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from vacli.errors import InputError, RunError, UsageError, nearest
from vacli.features.registry import EXTRACTORS, create_audio, speech_models
from vacli.inference.feature_check import check_extractor
from vacli.inference.postprocessing import PostProcessor
from vacli.inference.prediction import predict_images
from vacli.inference.run import BUNDLED_AUDIO, Run, load_run
from vacli.media.audio import Sound
from vacli.media.kinds import MediaInput, resolve_kind
from vacli.media.reader import FrameSource
from vacli.output.frame_table import FrameTable
from vacli.pipeline import observation
from vacli.pipeline.audio_only import predict_audio_only, resample_trajectory
from vacli.pipeline.extractors import build_extractors
from vacli.pipeline.live import (
    FrameTableStream,
    LivePredictor,
    LoadedModel,
    Write,
    frame_table,
)
from vacli.progress import Progress, RecordingProgress
from vacli.runtime.options import ExecutionOptions, device_name
from vacli.spec import SPEECH
from vacli.steps._prediction_settings import PredictSettings

IMAGE_FEATURE = "compact"  # the bundled model predicts single images with its face network


def load_model(settings: PredictSettings, progress: Progress) -> LoadedModel:
    """Load the run on its device; the bundled run uses the CPU by default, so that torch is not imported."""
    on_cpu = settings.is_bundled and settings.device == "auto"
    device = "cpu" if on_cpu else device_name(settings.device)
    model = load_run(settings.run, device, progress)
    audio_model = load_run(BUNDLED_AUDIO, device, progress) if settings.is_bundled else None
    _check_speech_model(settings, model)
    if settings.raw:
        model, audio_model = _raw(model), audio_model and _raw(audio_model)
    return LoadedModel(model, observation.Extractors({}, {}), audio_model, settings.speech_model)


def _check_speech_model(settings: PredictSettings, model: Run) -> None:
    """Raise UsageError or RunError where the estimate of a speech model cannot be combined with the run's."""
    name = settings.speech_model
    if name is None:
        return
    if name not in speech_models():
        raise UsageError(f"there is no speech model called {name!r}", hint=nearest(name, speech_models()))
    for option, given in (("--raw", settings.raw), ("--images", settings.images)):
        if given:
            raise UsageError(f"--speech-model has no effect with {option}", hint=f"omit it, or {option}")
    if model.postprocess.calibration is None:
        raise RunError(
            f"{model.path} is not calibrated: --speech-model needs the uncertainty of its predictions",
            hint=f"va calibrate {model.path} STORE, with held-out videos",
        )


def _raw(run: Run) -> Run:
    return replace(run, postprocess=PostProcessor(audio_only=run.postprocess.audio_only))


def with_extractors(loaded: LoadedModel, settings: PredictSettings, progress: Progress) -> LoadedModel:
    """The same runs with the extractors of their features."""
    weights = {name: path for name, path in settings.weights.items() if name != loaded.speech_model}
    extractors = build_extractors(loaded.model, settings.device, weights, progress)
    if loaded.audio_model is not None:
        for name, extractor in extractors.audio.items():
            check_extractor(loaded.audio_model, name, extractor.spec)
    if loaded.speech_model is not None:
        extractors = _with_speech_model(extractors, loaded.speech_model, settings, progress)
    return replace(loaded, extractors=extractors)


def _with_speech_model(
    extractors: observation.Extractors, name: str, settings: PredictSettings, progress: Progress
) -> observation.Extractors:
    """The extractors with a speech model and, if there is one, the detector of speech."""
    options = {
        "weights": settings.weights.get(name),
        "execution": ExecutionOptions(device=settings.device),
        "progress": progress,
    }
    audio = {name: create_audio(name, options)}
    if SPEECH in EXTRACTORS and SPEECH not in extractors.audio:
        audio[SPEECH] = create_audio(SPEECH, {"progress": progress})
    return replace(extractors, audio={**audio, **extractors.audio})


@dataclass(frozen=True)
class RecordingPredictor:
    """Predicts the tables of one input, one for each selected face.

    write: gets the first parts of a table while a video is read, see `PredictSettings.live`.
    """

    settings: PredictSettings
    loaded: LoadedModel
    write: Write
    progress: Progress

    def tables(self, named: MediaInput) -> Iterator[FrameTable]:
        """The tables of an input, or with `live` their last parts. Raises VaError if it cannot be read."""
        item, name = resolve_kind(named), str(named.path)
        if item.kind == "image" and not self.settings.images:
            raise wrong_kind_error(item.path, images=False)
        extractors, progress = self.loaded.extractors, self.progress
        if item.kind == "video":
            yield from self._video_tables(item.path)
        elif item.kind == "image":
            yield from self._image_tables(item.path, name)
        elif item.kind == "crops":
            yield self._table(name, observation.observe_crops(item.path, extractors, progress))
        else:
            yield self._table(
                name, observation.observe_sound(item.path, self._observation_settings(), progress)
            )

    def _observation_settings(self) -> observation.ObservationSettings:
        return observation.ObservationSettings(
            self.loaded.extractors,
            self.settings.face,
            self.settings.backend,
            embedding_rate_hz=self.loaded.embedding_rate_hz,
            audio_track=self.settings.audio_track,
        )

    def _table(self, name: str, observed: observation.Observation) -> FrameTable:
        selected = self.loaded.select_model(observed.faces.detected)
        return FrameTableStream(name, selected, observed.times_s).finish(observed)

    def _video_tables(self, path: Path) -> Iterator[FrameTable]:
        live, settings = None, self._observation_settings()
        if self.settings.live and self.settings.face == "largest":
            live = LivePredictor(str(path), self.loaded, self.write)
        read = partial(observation.observe_sound, path, settings, RecordingProgress())  # no second warning
        for observed in observation.observe_video(path, settings, self.progress, live):
            if live and live.stream:
                yield live.stream.finish(observed)
            else:
                yield self._track_table(str(path), observed, read)

    def frame_tables(self, name: str, video: FrameSource, sound: Sound | None) -> Iterator[FrameTable]:
        """The tables of frames and sound that are in memory. Raises InputError for frames of wrong shape."""
        settings, path = self._observation_settings(), Path(name)

        def read() -> observation.Observation:
            assert sound is not None  # only a recording with sound is predicted from it
            return observation.observe_read_sound(sound, settings)

        for observed in observation.observe_frames(video, lambda: sound, path, settings, self.progress):
            yield self._track_table(name, observed, read)

    def _track_table(
        self, name: str, observed: observation.Observation, read: Callable[[], observation.Observation]
    ) -> FrameTable:
        """The table of a face; `read` gives the sound if the video shows no face."""
        if self._is_audio_only(observed):
            return self._audio_only_table(name, observed, read())
        return self._table(name, observed)

    def _is_audio_only(self, observed: observation.Observation) -> bool:
        """Whether a video shows no face and an audio model can predict from its audio."""
        has_model = self.loaded.has_audio_only(self.loaded.extractors.audio)
        return has_model and bool(observed.audio_present.any()) and not observed.faces.detected.any()

    def _audio_only_table(
        self, name: str, observed: observation.Observation, sound: observation.Observation
    ) -> FrameTable:
        """Predict at the row rate of audio, so that the result does not depend on the frame rate."""
        selected = self.loaded.select_model(observed.faces.detected)
        predicted = resample_trajectory(predict_audio_only(name, selected, sound), observed.times_s)
        return frame_table(name, observed, predicted, selected.used)

    def _image_tables(self, path: Path, name: str) -> Iterator[FrameTable]:
        extractors, bundled = self.loaded.extractors, self.settings.is_bundled
        face = self.settings.face
        for observed in observation.observe_image(path, extractors, face, self.progress, augment=bundled):
            yield self._image_table(name, observed)

    def _image_table(self, name: str, observed: observation.Observation) -> FrameTable:
        if not self.settings.is_bundled:
            return self._table(name, observed)
        rows = observed.features[IMAGE_FEATURE]
        difficulty = np.where(observed.faces.detected, observed.faces.difficulty, 1.0)
        predicted = predict_images(self.loaded.model, rows, name, observed.times_s, difficulty)
        return frame_table(name, observed, predicted, self.loaded.used)


def wrong_kind_error(path: Path, images: bool) -> InputError:
    """The error for a path without pictures (`images`), or with pictures only."""
    if images:
        return InputError(f"{path} contains no images", hint="omit --images for videos and audio")
    problem = "contains only images" if path.is_dir() else "is an image"
    return InputError(f"{path} {problem}", hint="`va predict --images` predicts each image separately")
