"""Recordings with their predicted tables: predicted now, or read from tables of `va predict`.

Reports, overlays, figures and summaries take their inputs through this module.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from vacli.errors import InputError
from vacli.faces.selection import check_face_choice
from vacli.files.store_folder import is_store
from vacli.media.kinds import MediaInput
from vacli.media.video import check_backend
from vacli.output.file_names import InputName
from vacli.output.formats import is_companion
from vacli.output.frame_table import FrameTable
from vacli.output.index_table import INDEX_FILE, indexed_tables
from vacli.output.table_reader import read_table_file
from vacli.pipeline.live import LoadedModel
from vacli.progress import Progress
from vacli.steps._batch import Batch, find_each
from vacli.steps._prediction_settings import PredictSettings
from vacli.steps._recording_predictor import RecordingPredictor, load_model, with_extractors
from vacli.steps._table_faces import check_choice, select_faces, warn_of_earlier_choice
from vacli.steps._unused_options import warn_of_face, warn_of_unused
from vacli.steps.predict import origin_tables, select_media

if TYPE_CHECKING:
    from vacli.store import VideoView

    Origin: TypeAlias = MediaInput | VideoView

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl")


@dataclass(frozen=True, eq=False, slots=True)
class Recording:
    """One recording and its tables, one for each selected face.

    name: as in the column `input`. media: its file, None if it is not there. load: predicts or reads the
    tables; raises VaError. origin: what they are predicted from, None for tables that are read. table: the
    file that they are read from.
    """

    name: str
    media: Path | None
    load: Callable[[], list[FrameTable]]
    origin: Origin | None = None
    table: Path | None = None

    def __getstate__(self) -> list[Any]:
        """Without the model of a prediction: another process has its own, see `bound_to`."""
        load = self.load if self.origin is None else _unbound
        return [self.name, self.media, load, self.origin, self.table]

    def bound_to(self, loader: ModelLoader) -> Recording:
        """The recording; one from another process is predicted by the run of `loader`."""
        if self.load is not _unbound or self.origin is None:
            return self
        return replace(self, load=partial(loader.tables, self.origin))


def input_name(recording: Recording) -> InputName:
    """What the output of a recording may be named after."""
    origin = recording.origin
    if origin is None:
        path = Path(recording.name)
        return InputName(recording.name, path.stem, path.suffix.lstrip("."), path.parent.name)
    path = origin.path
    if not isinstance(origin, MediaInput):
        return InputName(str(path), origin.id, folder=path.parent.stem)
    ending = "" if origin.kind == "crops" else path.suffix.lstrip(".")
    return InputName(str(path), origin.name, ending, path.absolute().parent.name)


def find_recordings(
    settings: PredictSettings, batch: Batch, progress: Progress, loader: type[ModelLoader] | None = None
) -> list[Recording]:
    """The recordings of media files, folders, stores and tables of `va predict`, in this order of kinds.

    An output folder of `va predict`, or its index, stands for the tables that the index lists.
    Nothing is predicted before `Recording.load`. `batch` records the inputs that cannot be read. The model is
    loaded only if an input needs it. loader: see `ModelLoader`. The faces of a table are all used, unless a
    user has chosen one (`PredictSettings.selects_face`). Raises UsageError for wrong settings, and for tables
    without the columns for this choice.
    """
    check_face_choice(settings.face)
    check_backend(settings.backend)
    by_input = {path: named_tables(path) for path in settings.inputs}
    for path, named in by_input.items():
        if named and path.is_dir():
            progress.info(f"{path}: the {len(named)} tables of its {INDEX_FILE} are used")
    tables = list(dict.fromkeys(table for named in by_input.values() for table in named or ()))
    others = replace(settings, inputs=tuple(path for path, named in by_input.items() if named is None))
    stores = [path for path in others.inputs if is_store(path)]
    if len(stores) == len(others.inputs):
        warn_of_unused(settings, tables, stores, progress)
    warn_of_face(settings, stores, progress)
    made = loader(others, progress) if loader and others.inputs else None
    predicted = list(predicted_recordings(others, batch, progress, made)) if others.inputs else []
    empty = [path for path, named in by_input.items() if named == [] and not is_companion(path)]
    read = list(find_each(tables, _of_table, batch, progress))
    if settings.selects_face:
        read = _with_selected_faces(read, settings.face, progress)
    return [*predicted, *read, *find_each(empty, _of_empty_index, batch, progress)]


def named_tables(path: Path) -> list[Path] | None:
    """The tables that an input stands for; None for media and stores."""
    if path.is_dir():
        return indexed_tables(path)
    if path.suffix.lower() not in TABLE_SUFFIXES or not path.is_file():
        return None
    if is_companion(path):
        return []
    listed = indexed_tables(path.parent) if path.name == INDEX_FILE else None
    return [path] if listed is None else listed


class ModelLoader:
    """The run of settings and its extractors, each loaded when it is first needed."""

    def __init__(self, settings: PredictSettings, progress: Progress) -> None:
        self._settings, self._progress = settings, progress

    @cached_property
    def model(self) -> LoadedModel:
        """The run without extractors, for stores."""
        return load_model(self._settings, self._progress)

    @cached_property
    def extracting(self) -> LoadedModel:
        """The run with its extractors."""
        return with_extractors(self.model, self._settings, self._progress)

    def tables(self, origin: Origin) -> list[FrameTable]:
        """Predict a file or a stored video."""
        loaded = self.extracting if isinstance(origin, MediaInput) else self.model
        predictor = RecordingPredictor(self._settings, loaded, refuse_parts, self._progress)
        return list(origin_tables(origin, predictor))


class ModelWithoutExtractors(ModelLoader):
    """Finds the recordings that other processes predict: the run is on the CPU and has no extractors."""

    def __init__(self, settings: PredictSettings, progress: Progress) -> None:
        super().__init__(replace(settings, device="cpu"), progress)

    @cached_property
    def extracting(self) -> LoadedModel:
        """The run without its extractors."""
        return self.model


def predicted_recordings(
    settings: PredictSettings, batch: Batch, progress: Progress, loader: ModelLoader | None = None
) -> Iterator[Recording]:
    """As `find_recordings`, for media files, folders and stores only; the settings are not checked.

    loader: of the same run, to load it only once.
    """
    loader = loader or ModelLoader(settings, progress)
    loaded = loader.model
    stores = [path for path in settings.inputs if is_store(path)]
    media = select_media(settings, stores, batch, progress) if len(stores) < len(settings.inputs) else []
    if media:
        predictor = RecordingPredictor(settings, loader.extracting, refuse_parts, progress)
        for item in media:
            yield Recording(str(item.path), _file_of(item), _Prediction(predictor, item), item)
    if stores:
        yield from _of_stores(stores, loaded, settings, batch, progress)


def _of_stores(
    stores: list[Path], loaded: LoadedModel, settings: PredictSettings, batch: Batch, progress: Progress
) -> Iterator[Recording]:
    from vacli.steps._predict_store import find_views, stored_table  # they import zarr

    for view in find_views(stores, loaded, batch, progress, allow_mismatch=settings.allow_mismatch):
        path = Path(view.source.get("path", ""))
        media = path if path.is_file() else None
        yield Recording(view.id, media, partial(lambda view: [stored_table(view, loaded)], view), view)


@dataclass(frozen=True, slots=True)
class _Prediction:
    """The prediction of a file; a third as large as a `partial`, since there may be millions."""

    predictor: RecordingPredictor
    item: MediaInput

    def __call__(self) -> list[FrameTable]:
        return list(self.predictor.tables(self.item))


def _file_of(item: MediaInput) -> Path | None:
    return None if item.kind == "crops" else item.path


def _unbound() -> list[FrameTable]:
    """The `load` of a recording from another process."""
    raise AssertionError("the recording is not bound to a run")


def refuse_parts(table: FrameTable) -> None:
    """The `write` of a predictor whose settings are not `live`."""
    raise AssertionError("only `live` settings give parts of tables")


def _of_table(path: Path) -> list[Recording]:
    """The recordings of a table. Raises InputError if it is not one of `va predict`."""
    by_name: dict[str, list[FrameTable]] = {}
    for table in read_table_file(path).tables:
        by_name.setdefault(table.name, []).append(table)
    return [
        Recording(name, media_of(name, path), partial(list, tables), table=path)
        for name, tables in by_name.items()
    ]


def _with_selected_faces(recordings: list[Recording], face: str, progress: Progress) -> list[Recording]:
    """Recordings of tables with the faces that a user has chosen. Raises UsageError, see `check_choice`."""
    selected = []
    for recording in recordings:
        assert recording.table is not None
        tables = recording.load()
        check_choice(recording.table, tables, face, progress)
        selected.append(replace(recording, load=partial(select_faces, tables, face)))
    for path in dict.fromkeys(recording.table for recording in selected):
        assert path is not None
        warn_of_earlier_choice(path, face, progress)
    return selected


def _of_empty_index(path: Path) -> list[Recording]:
    """Raise InputError, for an output folder or its index without a complete table."""
    index = path / INDEX_FILE if path.is_dir() else path
    raise InputError(f"{index} lists no complete table", hint="see its column cause, then predict again")


def media_of(name: str, table: Path) -> Path | None:
    """The file that the column `input` names: as written, or beside the table."""
    if name == str(table):  # a table without the column
        return None
    for candidate in (Path(name), table.parent / name, table.parent / os.path.basename(name)):
        if candidate.is_file():
            return candidate
    return None
