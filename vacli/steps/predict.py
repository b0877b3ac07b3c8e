"""`va predict`: predict tables of valence and arousal from recordings or stores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from vacli.errors import InputError, UsageError
from vacli.faces.selection import check_face_choice
from vacli.files.store_folder import is_store
from vacli.inference.feature_check import check_extractor
from vacli.inference.prediction import predict_images
from vacli.inference.run import BUNDLED, BUNDLED_AUDIO, is_bundled_run, load_run
from vacli.media.inputs import images_of
from vacli.media.kinds import MediaInput, resolve_kind
from vacli.media.video import check_backend
from vacli.output.frame_table import FrameTable
from vacli.pipeline import observation
from vacli.pipeline.extractors import build_extractors
from vacli.pipeline.live import (
    FrameTableStream,
    LivePredictor,
    LoadedModel,
    Write,
    emit_table,
    frame_table,
    predict_audio_only,
    resample_trajectory,
)
from vacli.progress import Progress, RecordingProgress
from vacli.runtime.options import device_name
from vacli.spec import extractor_name
from vacli.steps._batch import DONE, Batch, run_each
from vacli.steps._inputs import usable

IMAGE_FEATURE = "compact"  # the bundled model predicts single images with its face network
EMBEDDING_RATES_HZ = {"compact": 15.0}  # expressions change slowly: the frames between are interpolated


@dataclass(frozen=True, kw_only=True)
class PredictSettings:
    """The inputs, the run (None: the bundled one) and the faces to select.

    weights: name of a feature -> its weights; "" is the single visual feature. allow_mismatch: predict
    from stored features that differ from those of the training, with a warning. live: rows are written
    while a video is read, if exactly one face is visible in the first second with a face
    (`live.LivePredictor`). audio_track: the number of the audio stream, from 1; None for the one that
    `media.audio_tracks` selects. one_recording: raise UsageError for several recordings.
    """

    inputs: tuple[Path, ...]
    model: Path | None = None
    weights: Mapping[str, Path] = field(default_factory=dict)
    face: str = "largest"
    images: bool = False
    backend: str = "auto"
    device: str = "auto"
    audio_track: int | None = None
    live: bool = False
    allow_mismatch: bool = False
    one_recording: bool = False

    @property
    def run(self) -> Path:
        """The folder of the run."""
        return self.model or BUNDLED

    @property
    def is_bundled(self) -> bool:
        """Whether the run is the bundled one, named or not."""
        return is_bundled_run(self.run)


def run(settings: PredictSettings, write: Write, progress: Progress | None = None) -> Batch:
    """Call `write` with the tables of each selected face of each input, in order.

    A face has one table, or with `live` several that follow each other. A failed input is recorded in the
    result, and the others are predicted.
    """
    progress = progress or RecordingProgress()
    check_face_choice(settings.face)
    check_backend(settings.backend)
    _check_count(settings, len(settings.inputs))
    loaded = _load(settings, progress)
    batch = Batch(loaded.model.path)
    stores = [path for path in settings.inputs if is_store(path)]
    if len(stores) < len(settings.inputs):  # a store has the features already
        loaded = _with_extractors(loaded, settings, progress)
    if stores:
        from vacli.steps._predict_store import predict_stores

        found = partial(_check_count, settings)
        predict_stores(stores, loaded, write, batch, progress, found, allow_mismatch=settings.allow_mismatch)
    media = _media(settings, stores, batch, progress)
    _check_count(settings, len(media))
    work = _InputPredictor(settings, loaded, write, progress)
    return run_each(batch, media, lambda item: str(item.path), work.predict, progress)


def _check_count(settings: PredictSettings, count: int) -> None:
    """Raise UsageError for several recordings where only one is allowed."""
    if settings.one_recording and count > 1:
        raise UsageError(
            f"the output file holds one recording, and there are {count}",
            hint="name one recording, or write .csv and then use `va convert --input NAME`",
        )


def _load(settings: PredictSettings, progress: Progress) -> LoadedModel:
    """Load the run on its device; the bundled run uses the CPU by default, so that torch is not imported."""
    on_cpu = settings.is_bundled and settings.device == "auto"
    device = "cpu" if on_cpu else device_name(settings.device)
    model = load_run(settings.run, device, progress)
    audio_model = load_run(BUNDLED_AUDIO, device, progress) if settings.is_bundled else None
    return LoadedModel(model, observation.Extractors({}, {}), audio_model)


def _with_extractors(loaded: LoadedModel, settings: PredictSettings, progress: Progress) -> LoadedModel:
    """The same runs with the extractors of their features."""
    extractors = build_extractors(loaded.model, settings.device, settings.weights, progress)
    if loaded.audio_model is not None:
        for name, extractor in extractors.audio.items():
            check_extractor(loaded.audio_model, name, extractor.spec)
    return replace(loaded, extractors=extractors)


@dataclass(frozen=True)
class _InputPredictor:
    """Predicts the tables of one input."""

    settings: PredictSettings
    loaded: LoadedModel
    write: Write
    progress: Progress

    def predict(self, named: MediaInput) -> str:
        item = resolve_kind(named)
        if item.kind == "image" and not self.settings.images:
            raise _wrong_kind_error(item.path, images=False)
        for table in self._tables(item, str(named.path)):
            emit_table(table, self.write, self.progress)
        return DONE

    def _tables(self, item: MediaInput, name: str) -> Iterator[FrameTable]:
        extractors, progress = self.loaded.extractors, self.progress
        if item.kind == "video":
            yield from self._video_tables(item.path)
        elif item.kind == "image":
            yield self._image_table(item.path, name)
        elif item.kind == "crops":
            yield self._table(name, observation.observe_crops(item.path, extractors, progress))
        else:
            yield self._table(
                name, observation.observe_sound(item.path, self._observation_settings(), progress)
            )

    def _observation_settings(self) -> observation.ObservationSettings:
        rates_hz = [EMBEDDING_RATES_HZ.get(extractor_name(name)) for name in self.loaded.extractors.visual]
        known_hz = [rate_hz for rate_hz in rates_hz if rate_hz is not None]
        return observation.ObservationSettings(
            self.loaded.extractors,
            self.settings.face,
            self.settings.backend,
            embedding_rate_hz=None if len(known_hz) < len(rates_hz) else max(known_hz, default=None),
            audio_track=self.settings.audio_track,
        )

    def _table(self, name: str, observed: observation.Observation) -> FrameTable:
        selected = self.loaded.select_model(observed.faces.detected)
        return FrameTableStream(name, selected, observed.times_s).finish(observed)

    def _video_tables(self, path: Path) -> Iterator[FrameTable]:
        live, settings = None, self._observation_settings()
        if self.settings.live and self.settings.face == "largest":
            live = LivePredictor(str(path), self.loaded, self.write)
        for observed in observation.observe_video(path, settings, self.progress, live):
            if live and live.stream:
                yield live.stream.finish(observed)
            elif self._is_audio_only(observed):
                yield self._audio_only_table(path, observed, settings)
            else:
                yield self._table(str(path), observed)

    def _is_audio_only(self, observed: observation.Observation) -> bool:
        """Whether a video shows no face and an audio model can predict from its audio."""
        has_model = self.loaded.audio_model is not None and bool(self.loaded.extractors.audio)
        return has_model and bool(observed.audio_present.any()) and not observed.faces.detected.any()

    def _audio_only_table(
        self, path: Path, observed: observation.Observation, settings: observation.ObservationSettings
    ) -> FrameTable:
        """Predict at the row rate of audio, so that the result does not depend on the frame rate."""
        selected = self.loaded.select_model(observed.faces.detected)
        sound = observation.observe_sound(path, settings, RecordingProgress())  # its warnings have been shown
        predicted = resample_trajectory(predict_audio_only(str(path), selected, sound), observed.times_s)
        return frame_table(str(path), observed, predicted, selected.used)

    def _image_table(self, path: Path, name: str) -> FrameTable:
        extractors, bundled = self.loaded.extractors, self.settings.is_bundled
        observed = observation.observe_image(path, extractors, self.progress, augment=bundled)
        if not bundled:
            return self._table(name, observed)
        rows = observed.features[IMAGE_FEATURE]
        predicted = predict_images(self.loaded.model, rows, name, observed.times_s)
        return frame_table(name, observed, predicted, self.loaded.used)


def _media(
    settings: PredictSettings, stores: list[Path], batch: Batch, progress: Progress
) -> list[MediaInput]:
    """The inputs that are not stores; with `images` only images, else everything else."""

    def use(media: MediaInput) -> list[MediaInput] | str:
        if not settings.images:
            return "an image: add --images" if media.kind == "image" else [media]
        images = [image for image in images_of(media) if image.kind == "image"]
        return images or "not an image: omit --images"

    paths = [path for path in settings.inputs if path not in stores]
    return usable(paths, use, partial(_wrong_kind_error, images=settings.images), batch, progress)


def _wrong_kind_error(path: Path, images: bool) -> InputError:
    if images:
        return InputError(f"{path} contains no images", hint="omit --images for videos and audio")
    problem = "contains only images" if path.is_dir() else "is an image"
    return InputError(f"{path} {problem}", hint="add --images to predict each image separately")
