"""`va predict`: predict tables of valence and arousal from recordings or stores."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vacli.errors import UsageError
from vacli.faces.selection import DEFAULT_FACE, check_face_choice
from vacli.files.store_folder import is_store
from vacli.media.inputs import images_of
from vacli.media.kinds import MediaInput
from vacli.media.video import check_backend
from vacli.output.frame_table import FrameTable
from vacli.output.quality_filter import QualityFilter
from vacli.pipeline.live import Write, emit_table
from vacli.progress import Progress, RecordingProgress
from vacli.steps._batch import DONE, Batch, run_each
from vacli.steps._inputs import usable
from vacli.steps._prediction_provenance import input_record
from vacli.steps._prediction_settings import PredictSettings
from vacli.steps._recording_predictor import (
    RecordingPredictor,
    load_model,
    with_extractors,
    wrong_kind_error,
)

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
    loaded = load_model(settings, progress)
    filtered = QualityFilter(settings.min_quality)

    def write_good(table: FrameTable) -> None:
        write(filtered(table if settings.fill else table.without_unsupported()))

    batch = PredictBatch(loaded.model.path)
    records = _InputRecords(settings.record_inputs)
    stores = [path for path in settings.inputs if is_store(path)]
    if len(stores) < len(settings.inputs):  # a store has the features already
        loaded = with_extractors(loaded, settings, progress)
    if stores:
        from vacli.steps._predict_store import predict_stores

        if settings.face != DEFAULT_FACE:
            reason = "a store has the faces of `va align --face`"
            progress.warn(f"--face {settings.face} is not used for {stores[0]}: {reason}")
        found = partial(_check_count, settings)
        mismatch = settings.allow_mismatch
        views = predict_stores(stores, loaded, write_good, batch, progress, found, allow_mismatch=mismatch)
        records.start(view for view in views if view.id in batch.done)
    media = select_media(settings, stores, batch, progress)
    _check_count(settings, len(media))
    predictor = RecordingPredictor(settings, loaded, write_good, progress)

    def work(item: MediaInput) -> str:
        records.start([item])
        for table in predictor.tables(item):
            emit_table(table, write_good, progress)
        return DONE

    run_each(batch, media, lambda item: str(item.path), work, progress)
    records.start(item for item in media if str(item.path) in batch.done)  # those of an earlier process
    if filtered.report:
        progress.info(filtered.report)
    failed = {failure.name for failure in batch.failed}
    batch.inputs = [record for name, record in records.results() if name not in failed]
    return batch


class _InputRecords:
    """The records of inputs, which are hashed in a thread while the inputs are predicted."""

    def __init__(self, is_asked: bool) -> None:
        self._is_asked, self._pool = is_asked, ThreadPoolExecutor(1)
        self._records: dict[str, Future[dict[str, Any]]] = {}

    def start(self, origins: Iterable[Origin]) -> None:
        """Begin to hash inputs that were not begun before, if records are asked for."""
        for origin in origins if self._is_asked else ():
            if (name := str(origin.path)) not in self._records:
                self._records[name] = self._pool.submit(input_record, origin)

    def results(self) -> list[tuple[str, dict[str, Any]]]:
        """Path and record of each input; waits for them. Raises InputError if a file cannot be read."""
        return [(name, record.result()) for name, record in self._records.items()]


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
    """The inputs that are not stores; with `images` only images, else everything else."""

    def use(media: MediaInput) -> list[MediaInput] | str:
        if not settings.images:
            return "an image: use `va predict --images`" if media.kind == "image" else [media]
        images = [image for image in images_of(media) if image.kind == "image"]
        return images or "not an image: omit --images"

    paths = [path for path in settings.inputs if path not in stores]
    return usable(paths, use, partial(wrong_kind_error, images=settings.images), batch, progress)
