"""`va predict -o FOLDER/`: a table for each recording, and an index of all of them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vacli.errors import InputError, OutputError, UsageError
from vacli.faces.selection import check_face_choice
from vacli.files.atomic import write_text
from vacli.files.store_folder import is_store
from vacli.media.video import check_backend
from vacli.output import provenance
from vacli.output.file_names import output_names
from vacli.output.formats import (
    COMPANION_ENDINGS,
    DEFAULTS,
    TableOptions,
    check_options,
    face_labels,
    options_for,
    write_file,
    written_files,
)
from vacli.output.frame_table import FrameTable
from vacli.output.index_table import INDEX_FILE, IndexEntry, index_text, is_index
from vacli.output.quality_filter import QualityFilter
from vacli.pipeline.live import emit_table
from vacli.progress import Progress, RecordingProgress
from vacli.steps._batch import DONE, SKIPPED, Batch, run_each
from vacli.steps._prediction_provenance import conditions, input_record, is_unchanged
from vacli.steps._prediction_settings import PredictSettings
from vacli.steps._recordings import Recording, input_name, predicted_recordings

if TYPE_CHECKING:
    from vacli.steps._recordings import Origin


@dataclass(frozen=True, kw_only=True)
class PredictFolderSettings:
    """The prediction, and the folder and format of its tables.

    ending: of the tables. also: endings of further files for each recording. jobs: recordings that are
    predicted at the same time. force: replace files that were made with other settings or by other programs.
    """

    prediction: PredictSettings
    folder: Path
    ending: str = ".csv"
    also: tuple[str, ...] = ()
    options: TableOptions = DEFAULTS
    jobs: int = 1
    force: bool = False

    @property
    def endings(self) -> tuple[str, ...]:
        """The endings of all files of a recording, that of the table first."""
        return tuple(dict.fromkeys((self.ending, *self.also)))


def run(settings: PredictFolderSettings, progress: Progress | None = None) -> Batch:
    """Write the files of each recording and the index; what is complete with the same settings is skipped.

    A file is complete or absent at any time, also after an interruption. A failed input is recorded in the
    result and in the index. Raises UsageError for wrong settings, OutputError if a file cannot be written.
    """
    progress = progress or RecordingProgress()
    check(settings)
    settings.folder.mkdir(parents=True, exist_ok=True)
    batch = Batch(settings.folder)
    recordings = list(predicted_recordings(settings.prediction, batch, progress))
    targets = make_targets(recordings, settings)
    writer = FolderWriter(settings, progress)
    run_each(
        batch,
        targets,
        lambda target: target.recording.name,
        writer.complete,
        progress,
        workers=settings.jobs,
    )
    if writer.report:
        progress.info(writer.report)
    _write_index(settings, targets, batch)
    return batch


def check(settings: PredictFolderSettings) -> None:
    """Raise UsageError for wrong settings, OutputError for a folder that is a file."""
    check_face_choice(settings.prediction.face)
    check_backend(settings.prediction.backend)
    check_options(settings.ending, settings.options)
    for ending in settings.also:
        check_options(ending, options_for(ending, settings.options))
    if settings.folder.exists() and not settings.folder.is_dir():
        raise OutputError(f"{settings.folder} is a file", hint="name a folder")
    if is_store(settings.folder):
        raise UsageError(f"{settings.folder} is a feature store", hint="name another folder for the tables")
    index = settings.folder / INDEX_FILE
    if index.is_file() and not settings.force:
        with open(index, encoding="utf-8", errors="replace") as stream:
            if not is_index(stream.read(20)):
                raise UsageError(f"{index} is not an index of `va predict`", hint="use --force to replace it")


@dataclass(frozen=True, eq=False)
class Target:
    """A recording and its table."""

    recording: Recording
    origin: Origin
    table: Path


def make_targets(recordings: list[Recording], settings: PredictFolderSettings) -> list[Target]:
    """The tables of recordings that are predicted, named after them."""
    origins = [r.origin for r in recordings if r.origin is not None]
    reserved = (Path(INDEX_FILE).stem, *(Path(ending).stem for ending in COMPANION_ENDINGS))
    names = output_names([input_name(r) for r in recordings if r.origin is not None], reserved)
    return [
        Target(recording, origin, settings.folder / f"{name}{settings.ending}")
        for recording, origin, name in zip(recordings, origins, names, strict=True)
    ]


class FolderWriter:
    """Predicts and writes the files of one recording after another, or of several at the same time."""

    def __init__(self, settings: PredictFolderSettings, progress: Progress) -> None:
        self._settings, self._progress = settings, progress
        self._conditions = conditions(settings.prediction, settings.options)
        self._hashing = ThreadPoolExecutor(1)
        self._filter, self._lock = QualityFilter(settings.prediction.min_quality), threading.Lock()

    @property
    def report(self) -> str | None:
        """See `QualityFilter.report`."""
        return self._filter.report

    def complete(self, target: Target) -> str:
        """Predict a recording and write its files, unless they are complete; DONE or SKIPPED.

        Raises InputError if a file exists that was made otherwise.
        """
        if self.is_complete(target):
            return SKIPPED
        record = self._hashing.submit(input_record, target.origin)
        tables = self._predict(target.recording)
        made = provenance.read_sidecar(target.table)
        is_same = made is not None and self._is_same(made, target)
        if not self._settings.force:  # now the files of each face are known
            self._check_existing(target, made, is_same, face_labels([table.face_id for table in tables]))
        files = made["files"] if is_same and made is not None else {}
        self._write(target, tables, {**self._conditions, "inputs": [record.result()], "files": files})
        return DONE

    def is_complete(self, target: Target) -> bool:
        """Whether all files of a recording are there as this command writes them.

        Raises InputError if a file exists that was made otherwise and is not to be replaced.
        """
        made = provenance.read_sidecar(target.table)
        is_same = made is not None and self._is_same(made, target)
        if is_same and made is not None and self._is_whole(made, target):
            return True
        if not self._settings.force:
            self._check_existing(target, made, is_same, _labels(made))
        return False

    def _files(self, target: Target, labels: list[str]) -> dict[str, Path]:
        """Name -> path of all files of a recording but the provenance. labels: of its faces."""
        tables = [target.table.with_name(f"{target.table.stem}{end}") for end in self._settings.endings]
        return {file.name: file for table in tables for file in written_files(table, labels)}

    def _is_same(self, made: dict[str, Any], target: Target) -> bool:
        """Whether files were made from the same input under the same conditions."""
        if "summaries" not in made or len(made["inputs"]) != 1:  # the table of another command
            return False
        same_conditions = all(made.get(name) == value for name, value in self._conditions.items())
        return same_conditions and is_unchanged(made["inputs"][0], target.origin)

    def _is_whole(self, made: dict[str, Any], target: Target) -> bool:
        """Whether all files are there as they were written."""
        files = self._files(target, _labels(made))
        now = provenance.digests_of(files)
        return len(now) == len(files) and all(made["files"].get(name) == now[name] for name in now)

    def _check_existing(
        self, target: Target, made: dict[str, Any] | None, is_same: bool, labels: list[str]
    ) -> None:
        """Raise InputError for an existing file that this command has neither written nor begun to write."""
        known = {} if made is None else made["files"]
        for name, digest in provenance.digests_of(self._files(target, labels)).items():
            if name not in known or made is None:
                problem = "exists already"
            elif not is_same:
                problem = f"was made {self._difference(made)}"
            elif known[name] not in (None, digest):
                problem = "was changed since it was made"
            else:
                continue
            raise InputError(f"{target.table.with_name(name)} {problem}", hint="use --force to replace it")

    def _difference(self, made: dict[str, Any]) -> str:
        """What differs between the conditions of existing files and the present ones."""
        if made.get("va") != self._conditions["va"]:
            return f"by va {made.get('va')}"
        if made.get("model") != self._conditions["model"]:
            return "with another model"
        old = {**(made.get("settings") or {}), **(made.get("output") or {})}
        new = {**self._conditions["settings"], **self._conditions["output"]}
        differing = [name for name, value in new.items() if old.get(name) != value]
        if differing:
            return f"with other settings ({', '.join(differing)})"
        return "from another file"

    def _predict(self, recording: Recording) -> list[FrameTable]:
        tables: list[FrameTable] = []
        for table in recording.load():
            emit_table(table, tables.append, self._progress)
        if not self._settings.prediction.fill:
            tables = [table.without_unsupported() for table in tables]
        with self._lock:
            return [self._filter(table) for table in tables]

    def _write(self, target: Target, tables: list[FrameTable], made: dict[str, Any]) -> None:
        """Write the files between two states of the provenance: it first names them without digests.

        Without this, files of an interrupted run would look like those of other programs.
        """
        files = self._files(target, face_labels([table.face_id for table in tables]))
        made |= {"summaries": [_without_path(table.summary()) for table in tables]}
        claimed = {**made["files"], **dict.fromkeys(files)}
        provenance.write_sidecar(target.table, {**made, "files": claimed})
        line = provenance.as_line({name: made[name] for name in (*self._conditions, "inputs")})
        for ending in self._settings.endings:
            path = target.table.with_name(f"{target.table.stem}{ending}")
            write_file(tables, path, replace(options_for(ending, self._settings.options), provenance=line))
        written = {**made["files"], **provenance.digests_of(files)}
        provenance.write_sidecar(target.table, {**made, "files": written})


def _labels(made: dict[str, Any] | None) -> list[str]:
    """The labels of the faces of a recording, as its provenance has them."""
    faces = [summary.get("face_id", "") for summary in (made or {}).get("summaries") or [{}]]
    return face_labels([int(face) if face.isdecimal() else None for face in faces])


def _without_path(summary: dict[str, str | float]) -> dict[str, str | float]:
    """A summary without the path of the input, which may be that of this machine."""
    return {name: value for name, value in summary.items() if name != "input"}


def _write_index(settings: PredictFolderSettings, targets: list[Target], batch: Batch) -> None:
    """Write the index of the tables in the folder and of the inputs that failed."""
    inputs = {target.table.name: target.recording.name for target in targets}
    entries = {}
    for sidecar in settings.folder.glob(f"*{provenance.SIDECAR_ENDING}"):
        table = sidecar.with_name(sidecar.name.removesuffix(provenance.SIDECAR_ENDING))
        made = provenance.read_sidecar(table)
        if made and table.is_file() and made["inputs"] and made.get("summaries"):
            name = inputs.get(table.name, made["inputs"][0].get("name", ""))
            entries[table.name] = IndexEntry(table.name, name, made["summaries"])
    tables = {name: table for table, name in inputs.items()}
    for failure in batch.failed:
        file = tables.get(failure.name, "")
        entries[file or failure.name] = IndexEntry(file, failure.name, cause=failure.reason)
    text = index_text(list(entries.values()), TableOptions(decimal_comma=settings.options.decimal_comma))
    write_text(settings.folder / INDEX_FILE, text)
