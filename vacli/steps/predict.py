"""`va predict`: predict tables of valence and arousal from recordings or stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vacli.errors import UsageError
from vacli.faces.selection import SPEAKER, check_face_choice
from vacli.files.store_folder import is_store
from vacli.media.inputs import images_of
from vacli.media.kinds import MediaInput
from vacli.media.video import check_backend
from vacli.output.frame_table import FrameTable
from vacli.output.quality_filter import QualityFilter
from vacli.pipeline.live import LoadedModel, Write, emit_table
from vacli.progress import Progress, RecordingProgress
from vacli.runtime.executor import Channel, ExecutorChoice
from vacli.steps._batch import DONE, Batch, run_job
from vacli.steps._inputs import usable
from vacli.steps._parts import select
from vacli.steps._prediction_provenance import input_record
from vacli.steps._prediction_settings import PredictSettings
from vacli.steps._recording_predictor import (
    RecordingPredictor,
    load_model,
    with_extractors,
    wrong_kind_error,
)
from vacli.steps._unused_options import warn_of_face, warn_of_unused

if TYPE_CHECKING:
    from vacli.steps._recordings import Origin

__all__ = ["PredictBatch", "PredictSettings", "run", "select_media"]


@dataclass
class PredictBatch(Batch):
    """inputs: the records of the predicted inputs (`_prediction_provenance.input_record`), if asked for."""

    inputs: list[dict[str, Any]] = field(default_factory=list)


def run(settings: PredictSettings, write: Write, progress: Progress | None = None) -> PredictBatch:
    """Call `write` with the tables of each selected face of each input, in order.

    A face has one table, or with `live` several that follow each other. A failed input is recorded in the
    result, and the others are predicted.
    """
    progress = progress or RecordingProgress()
    check_face_choice(settings.face)
    check_backend(settings.backend)
    _check_count(settings, len(settings.inputs))
    # Other processes load their own run with its extractors; here it finds the recordings.
    loaded = load_model(replace(settings, device="cpu") if settings.dask else settings, progress)
    received = _Received(settings, write)
    batch = PredictBatch(loaded.model.path)
    stores = [path for path in settings.inputs if is_store(path)]
    if len(stores) < len(settings.inputs) and not settings.dask:  # a store has the features already
        loaded = with_extractors(loaded, settings, progress)
    origins: list[tuple[str, Origin]] = []
    with ExecutorChoice(settings.dask, device=settings.device).opened(progress) as executor:

        def run(items: Sequence[Origin], name: Callable[[Any], str], has_media: bool) -> None:
            chosen = select(items, settings.part, lambda item: item.path.name)
            origins.extend((name(item), item) for item in chosen)
            job = PredictJob(replace(settings, inputs=()), has_media, loaded)
            run_job(batch, chosen, name, job, Channel(progress, received.take), executor)

        if stores:
            from vacli.steps._predict_store import find_views

            if len(stores) == len(settings.inputs):
                warn_of_unused(settings, [], stores, progress)
            warn_of_face(settings, stores, progress)
            mismatch = settings.allow_mismatch
            views = list(find_views(stores, loaded, batch, progress, allow_mismatch=mismatch))
            _check_count(settings, len(views))
            run(views, lambda view: view.id, has_media=False)
        media = select_media(settings, stores, batch, progress)
        _check_count(settings, len(media))
        run(media, lambda item: str(item.path), has_media=True)
    if received.filter.report:
        progress.info(received.filter.report)
    done = set(batch.done)
    batch.inputs = received.records([origin for name, origin in origins if name in done])
    return batch


@dataclass(frozen=True)
class _InputRecord:
    """The record of a predicted input."""

    path: str
    record: dict[str, Any]


class _Received:
    """Writes the tables of inputs, and keeps the records of the inputs."""

    def __init__(self, settings: PredictSettings, write: Write) -> None:
        self._settings, self._write = settings, write
        self.filter = QualityFilter(settings.min_quality)
        self._records: dict[str, dict[str, Any]] = {}

    def take(self, value: FrameTable | _InputRecord) -> None:
        """Take a value of `PredictJob`."""
        if isinstance(value, _InputRecord):
            self._records[value.path] = value.record
        else:
            self._write(self.filter(value if self._settings.fill else value.without_unsupported()))

    def records(self, origins: Sequence[Origin]) -> list[dict[str, Any]]:
        """The records of inputs, if they are asked for; an earlier process may have predicted some.

        Raises InputError if a file cannot be read.
        """
        if not self._settings.record_inputs:
            return []
        return [self._records.get(str(each.path)) or input_record(each) for each in origins]


@dataclass(frozen=True)
class PredictJob:
    """loaded: the run of this process; others load their own. has_media: inputs are no stored videos."""

    settings: PredictSettings
    has_media: bool
    loaded: LoadedModel | None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "loaded": None}

    def open(self, channel: Channel) -> Callable[[Origin], str]:
        """Load the run."""
        settings, progress = self.settings, channel.progress
        loaded = self.loaded or load_model(settings, progress)
        if self.has_media and self.loaded is None:
            loaded = with_extractors(loaded, settings, progress)
        predictor = RecordingPredictor(settings, loaded, channel.emit, progress)

        def work(origin: Origin) -> str:
            with _recorded(origin, channel) if settings.record_inputs else nullcontext():
                for table in origin_tables(origin, predictor):
                    emit_table(table, channel.emit, progress)
            return DONE

        return work


@contextmanager
def _recorded(origin: Origin, channel: Channel) -> Iterator[None]:
    """Hash an input in a thread while it is predicted, and emit its record."""
    with ThreadPoolExecutor(1) as pool:
        record = pool.submit(input_record, origin)
        yield
        channel.emit(_InputRecord(str(origin.path), record.result()))


def origin_tables(origin: Origin, predictor: RecordingPredictor) -> Iterator[FrameTable]:
    """The tables of a file or of a stored video."""
    if isinstance(origin, MediaInput):
        return predictor.tables(origin)
    from vacli.steps._predict_store import stored_table  # it imports zarr

    return iter([stored_table(origin, predictor.loaded)])


def _check_count(settings: PredictSettings, count: int) -> None:
    """Raise UsageError for several recordings where only one is allowed."""
    if settings.one_recording and count > 1:
        raise UsageError(
            f"the output file holds one recording, and there are {count}",
            hint="name one recording, or write .csv and then use `va convert --input NAME`",
        )


def select_media(
    settings: PredictSettings, stores: list[Path], batch: Batch, progress: Progress
) -> list[MediaInput]:
    """The inputs that are not stores; with `images` only images, else everything else.

    Raises UsageError for images and the choice of the speaker, who is known from moving pictures only.
    """
    if settings.images and settings.face == SPEAKER:
        raise UsageError("--face speaker needs moving pictures", hint="give another --face with --images")

    def use(media: MediaInput) -> list[MediaInput] | str:
        if not settings.images:
            return "an image: use `va predict --images`" if media.kind == "image" else [media]
        images = [image for image in images_of(media) if image.kind == "image"]
        return images or "not an image: omit --images"

    paths = [path for path in settings.inputs if path not in stores]
    return usable(paths, use, partial(wrong_kind_error, images=settings.images), batch, progress)
