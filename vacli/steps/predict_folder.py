"""`va predict -o FOLDER/`: a table for each recording, and an index of all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vacli.errors import OutputError, UsageError
from vacli.faces.selection import check_face_choice
from vacli.files.atomic import staged_writer
from vacli.files.store_folder import is_store
from vacli.media.kinds import MediaInput
from vacli.media.video import check_backend
from vacli.output import provenance
from vacli.output.file_names import output_names
from vacli.output.formats import (
    COMPANION_ENDINGS,
    DEFAULTS,
    TableOptions,
    check_options,
    options_for,
)
from vacli.output.index_table import (
    INDEX_FILE,
    IndexEntry,
    index_lines,
    indexed_failures,
    indexed_inputs,
    is_index,
)
from vacli.output.provenance import SIDECAR_ENDING
from vacli.output.quality_filter import QualityFilter
from vacli.output.writers import path_cell
from vacli.progress import Progress, RecordingProgress
from vacli.runtime.executor import Channel, ExecutorChoice
from vacli.steps._batch import Batch, Failure, run_job
from vacli.steps._folder_writer import FolderWriter, Target, is_of_another_file, is_refusal
from vacli.steps._parts import Part, PartRun, read_records
from vacli.steps._prediction_settings import PredictSettings
from vacli.steps._recordings import (
    ModelLoader,
    ModelWithoutExtractors,
    Recording,
    input_name,
    predicted_recordings,
)
from vacli.steps._unused_options import warn_of_face, warn_of_unused


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
    prediction, filtered = settings.prediction, _SharedFilter(settings)
    part_run = PartRun("predict", prediction.part, settings.folder)
    stores = [path for path in prediction.inputs if is_store(path)]
    if len(stores) == len(prediction.inputs):
        warn_of_unused(prediction, [], stores, progress)
    warn_of_face(prediction, stores, progress)
    loader = ModelWithoutExtractors if prediction.dask else ModelLoader
    recordings = predicted_recordings(prediction, batch, progress, loader(prediction, progress))
    found = make_targets(recordings, settings)
    targets = found.of_part(prediction.part)
    has_media = any(isinstance(recording.origin, MediaInput) for recording in targets.recordings)
    job = _PredictFolderJob(replace(settings, prediction=replace(prediction, inputs=())), has_media)
    channel = Channel(progress, filtered.merge)
    choice = ExecutorChoice(prediction.dask, settings.jobs, prediction.device)
    with choice.opened(progress) as executor:
        run_job(batch, targets, lambda target: target.recording.name, job, channel, executor)
    if filtered.report:
        progress.info(filtered.report)
    names = {target.recording.name: target.table.name for target in targets}
    part_run.end(batch, (recording.name for recording in found.recordings), names)
    write_index(settings.folder, names, batch.failed, settings.options, set(batch.done))
    return batch


class _SharedFilter(QualityFilter):
    """The sum of the filters of recordings, from several threads or processes."""

    def __init__(self, settings: PredictFolderSettings) -> None:
        super().__init__(settings.prediction.min_quality)
        self._lock = threading.Lock()

    def merge(self, other: QualityFilter) -> None:
        """Add the counts of a recording."""
        with self._lock:
            super().merge(other)


@dataclass(frozen=True)
class _PredictFolderJob:
    """has_media: some of the inputs are media files."""

    settings: PredictFolderSettings
    has_media: bool

    def open(self, channel: Channel) -> Callable[[Target], str]:
        """Load the run, unless the recordings have it."""
        loader = ModelLoader(self.settings.prediction, channel.progress)
        writer = FolderWriter(self.settings, channel)
        if self.settings.prediction.dask:
            assert loader.extracting if self.has_media else loader.model

        def work(target: Target) -> str:
            return writer.complete(replace(target, recording=target.recording.bound_to(loader)))

        return work


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


@dataclass(frozen=True)
class Targets:
    """Recordings and their tables. names: of the tables, without an ending.

    A target is made when it is needed, since those of a million recordings take a third of a gigabyte.
    """

    recordings: Sequence[Recording]
    names: Sequence[str]
    settings: PredictFolderSettings

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Target]:
        for recording, name in zip(self.recordings, self.names, strict=True):
            assert recording.origin is not None
            table = self.settings.folder / f"{name}{self.settings.ending}"
            yield Target(recording, recording.origin, table)

    def of_part(self, part: Part | None) -> Targets:
        """The targets of a part of the inputs; all of them without one."""
        if part is None:
            return self
        pairs = zip(self.recordings, self.names, strict=True)
        chosen = [(r, name) for r, name in pairs if r.origin and part.has(r.origin.path.name)]
        return Targets([r for r, _ in chosen], [name for _, name in chosen], self.settings)


def make_targets(recordings: Iterable[Recording], settings: PredictFolderSettings) -> Targets:
    """The tables of recordings that are predicted, named after them."""
    predicted = [r for r in recordings if r.origin is not None]
    reserved = (Path(INDEX_FILE).stem, *(Path(ending).stem for ending in COMPANION_ENDINGS))
    return Targets(predicted, output_names([input_name(r) for r in predicted], reserved), settings)


def write_index(
    folder: Path,
    own: Mapping[str, str],
    failed: Iterable[Failure],
    options: TableOptions,
    done: Collection[str] = (),
) -> None:
    """Write the index of the tables in a folder and of the inputs that failed, sorted by file and input.

    own: input -> table of this run; those of the other parts come from their records. done: the inputs whose
    tables this run has written. A complete table that was not to be replaced keeps its row, unless its own
    input has changed, which is a failure until it is predicted again.
    """
    records = list(read_records(folder))
    names = {name: table for record in records for name, table in record.inputs.items()} | dict(own)
    inputs = {table: name for name, table in names.items()}
    before, failed_before = indexed_inputs(folder) or {}, indexed_failures(folder)
    reasons = {failure.name: failure.reason for failure in failed}
    for record in records:
        reasons |= {name: reason for name, reason in record.failed.items() if name not in own}
    settled = {table for name, table in (own or names).items() if name not in reasons}
    outdated = {
        table: IndexEntry(table, name, cause=cause)
        for table, (name, cause) in failed_before.items()
        if is_of_another_file(cause) and table not in settled
    }
    listed = {table: entry.input for table, entry in outdated.items()} | before
    reasons = {n: why for n, why in reasons.items() if not _is_kept(folder, names.get(n), n, why, listed)}
    failures = {names.get(name) or name: name for name in reasons}
    tables = (path.name.removesuffix(SIDECAR_ENDING) for path in folder.glob(f"*{SIDECAR_ENDING}"))
    order = [(table, inputs.get(table, "")) for table in tables if table not in failures]
    order += [(names.get(name, ""), name) for name in failures.values()]

    def entries() -> Iterator[IndexEntry]:
        for table, name in sorted(order):
            if name in reasons:
                yield IndexEntry(table, name, cause=reasons[name])
            elif (made := _completed(folder / table)) is not None:
                recorded, summaries = made
                own_name = name if name in done else _input_of(recorded, (before.get(table, ""), name))
                yield outdated.get(table) or IndexEntry(table, own_name, summaries)

    with staged_writer(folder / INDEX_FILE) as out:
        out.writelines(index_lines(entries(), TableOptions(decimal_comma=options.decimal_comma)))


def _is_kept(folder: Path, table: str | None, name: str, reason: str, listed: Mapping[str, str]) -> bool:
    """Whether an input failed because a complete table was not to be replaced, which is still right.

    listed: table -> its input, in the index of before.
    """
    if table is None or not is_refusal(reason) or _completed(folder / table) is None:
        return False
    is_own = listed.get(table, name) in (name, path_cell(name))
    return not (is_own and is_of_another_file(reason))


def _input_of(recorded: str, names: Iterable[str]) -> str:
    """The input of a table that was not written now, as the table has it: the first of `names` that fits.

    recorded: the name in the provenance, which has no folder.
    """
    return next((name for name in names if name != recorded and Path(name).name == recorded), recorded)


def _completed(table: Path) -> tuple[str, list[dict[str, str | float]]] | None:
    """The input of a complete table, as its provenance names it, and the summaries of its faces."""
    made = provenance.read_sidecar(table)
    if not made or not made["inputs"] or not made.get("summaries") or not table.is_file():
        return None
    return made["inputs"][0].get("name", ""), made["summaries"]
