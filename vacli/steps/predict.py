"""`va predict`: predict tables of valence and arousal from recordings or stores."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from vacli.errors import UsageError
from vacli.faces.selection import check_face_choice
from vacli.files.store_folder import is_store
from vacli.media.inputs import images_of
from vacli.media.kinds import MediaInput
from vacli.media.video import check_backend
from vacli.pipeline.live import Write, emit_table
from vacli.progress import Progress, RecordingProgress
from vacli.steps._batch import DONE, Batch, run_each
from vacli.steps._inputs import usable
from vacli.steps._prediction_settings import PredictSettings
from vacli.steps._recording_predictor import (
    RecordingPredictor,
    load_model,
    with_extractors,
    wrong_kind_error,
)

__all__ = ["PredictSettings", "run", "select_media"]


def run(settings: PredictSettings, write: Write, progress: Progress | None = None) -> Batch:
    """Call `write` with the tables of each selected face of each input, in order.

    A face has one table, or with `live` several that follow each other. A failed input is recorded in the
    result, and the others are predicted.
    """
    progress = progress or RecordingProgress()
    check_face_choice(settings.face)
    check_backend(settings.backend)
    _check_count(settings, len(settings.inputs))
    loaded = load_model(settings, progress)
    write = write if settings.fill else _without_unsupported(write)
    batch = Batch(loaded.model.path)
    stores = [path for path in settings.inputs if is_store(path)]
    if len(stores) < len(settings.inputs):  # a store has the features already
        loaded = with_extractors(loaded, settings, progress)
    if stores:
        from vacli.steps._predict_store import predict_stores

        found = partial(_check_count, settings)
        predict_stores(stores, loaded, write, batch, progress, found, allow_mismatch=settings.allow_mismatch)
    media = select_media(settings, stores, batch, progress)
    _check_count(settings, len(media))
    predictor = RecordingPredictor(settings, loaded, write, progress)

    def work(item: MediaInput) -> str:
        for table in predictor.tables(item):
            emit_table(table, write, progress)
        return DONE

    return run_each(batch, media, lambda item: str(item.path), work, progress)


def _without_unsupported(write: Write) -> Write:
    return lambda table: write(table.without_unsupported())


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
            return "an image: add --images" if media.kind == "image" else [media]
        images = [image for image in images_of(media) if image.kind == "image"]
        return images or "not an image: omit --images"

    paths = [path for path in settings.inputs if path not in stores]
    return usable(paths, use, partial(wrong_kind_error, images=settings.images), batch, progress)
