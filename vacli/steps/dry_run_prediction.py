"""`--dry-run` of `va predict`: the recordings that would be predicted. Nothing is written."""

from __future__ import annotations

from pathlib import Path

from vacli.errors import InputError
from vacli.files.store_folder import is_store
from vacli.output.frame_table import FrameTable
from vacli.progress import Progress
from vacli.runtime.executor import Channel
from vacli.steps._batch import Batch
from vacli.steps._folder_writer import FolderWriter
from vacli.steps._parts import select
from vacli.steps._prediction_settings import PredictSettings
from vacli.steps._recordings import Recording
from vacli.steps.dry_run import Plan, PlannedInput
from vacli.steps.predict import select_media
from vacli.steps.predict_folder import PredictFolderSettings, check, make_targets
from vacli.store import Store, schema


def plan_predict(settings: PredictSettings, out: Path, progress: Progress) -> Plan:
    """The recordings that would be predicted into one table."""
    batch = Batch(out)
    recordings = select(_recordings(settings, batch, progress), settings.part, _part_name)
    planned = tuple(PlannedInput(recording.name, "predict") for recording in recordings)
    return Plan(out, planned, len(batch.failed))


def plan_predict_folder(settings: PredictFolderSettings, progress: Progress) -> Plan:
    """The recordings whose tables would be written into a folder. Raises as `predict_folder.run`."""
    check(settings)
    batch = Batch(settings.folder)
    writer = FolderWriter(settings, Channel(progress))
    planned, refused = [], 0
    targets = make_targets(_recordings(settings.prediction, batch, progress), settings)
    for target in targets.of_part(settings.prediction.part):
        try:
            action = "complete, skipped" if writer.is_complete(target) else f"predict into {target.table}"
        except InputError as error:
            action, refused = f"refused: {error}", refused + 1
        planned.append(PlannedInput(target.recording.name, action))
    return Plan(settings.folder, tuple(planned), len(batch.failed) + refused)


def _recordings(settings: PredictSettings, batch: Batch, progress: Progress) -> list[Recording]:
    """The recordings of `predict`; no model and no extractor is loaded, so that none is downloaded."""
    stores = [path for path in settings.inputs if is_store(path)]
    media = select_media(settings, stores, batch, progress) if len(stores) < len(settings.inputs) else []
    recordings = [Recording(str(item.path), item.path, _not_loaded, item) for item in media]
    for path in stores:
        schema.check_root(path)
        recordings += [Recording(view.id, None, _not_loaded, view) for view in Store(path).videos()]
    return recordings


def _part_name(recording: Recording) -> str:
    """The name that decides on the part of a recording."""
    return recording.name if recording.origin is None else recording.origin.path.name


def _not_loaded() -> list[FrameTable]:
    raise AssertionError("a plan predicts nothing")
