"""`va finalize`: check that all parts of a store or a folder of predictions are there; refresh its index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vacli.errors import InputError, StoreError
from vacli.files.store_folder import is_store
from vacli.output import provenance
from vacli.output.formats import DEFAULTS, TableOptions
from vacli.progress import Progress, RecordingProgress
from vacli.steps._batch import reason_of
from vacli.steps._parts import FOLDER, PartRecord, part_number, read_records, recording_name
from vacli.steps._provenance import is_audio_only
from vacli.steps.predict_folder import write_index
from vacli.store import Store, VideoView

MAX_NAMED = 5  # inputs that are named in a message


@dataclass(frozen=True)
class FinalizeSettings:
    """path: a store, or a folder of `va predict`. parts: their number, None for that of the records."""

    path: Path
    parts: int | None = None


@dataclass
class FinalizeResult:
    """What is missing, each in one line; empty if the output is complete."""

    path: Path
    missing: list[str] = field(default_factory=list)


def run(settings: FinalizeSettings, progress: Progress | None = None) -> FinalizeResult:
    """Compare the records of the parts with each other, and the videos of a store; write the index anew.

    A part is missing if it has no record of its end. A video of a store is incomplete if others have a part
    that it has not. Raises InputError if the path is neither a store nor has records.
    """
    progress = progress or RecordingProgress()
    records = list(read_records(settings.path))
    result = FinalizeResult(settings.path)
    if is_store(settings.path):
        store = Store.open(settings.path)
        store.refresh_index()
        runs = list(_latest_runs(records, settings.parts))
        result.missing += [line for run in runs for line in _missing_parts(run)]
        result.missing += _incomplete_videos(store, runs, progress)
    elif records:
        runs = list(_latest_runs(records, settings.parts))
        result.missing += [line for run in runs for line in _missing_parts(run)]
        result.missing += [line for run in runs for line in _missing_tables(settings.path, run)]
        write_index(settings.path, {}, (), _table_options(settings.path))
    else:
        raise InputError(
            f"{settings.path} is neither a store nor a folder with records of parts in {FOLDER}/",
            hint="run `va predict ... --part 1/N -o FOLDER/` first",
        )
    if not records:
        progress.info(f"{settings.path}: no run with --part is recorded; only the videos were compared")
    return result


@dataclass(frozen=True)
class _PartedRun:
    """The records of one command and one number of parts."""

    command: str
    count: int
    records: Sequence[PartRecord]

    def name(self, number: int) -> str:
        """The part as the user gives it."""
        return f"va {self.command} --part {number}/{self.count}"


def _latest_runs(records: Sequence[PartRecord], parts: int | None) -> Iterator[_PartedRun]:
    """A run for each command. Of several numbers of parts the one with most of its parts is taken."""
    for command in sorted({record.command for record in records}):
        by_count: dict[int, list[PartRecord]] = {}
        for record in records:
            if record.command == command:
                by_count.setdefault(record.count, []).append(record)
        count = parts or max(by_count, key=lambda count: (len(by_count[count]) / count, count))
        yield _PartedRun(command, count, by_count.get(count, []))


def _missing_parts(run: _PartedRun) -> Iterator[str]:
    """The parts without a record, with other inputs than most, and with inputs that failed."""
    present = {record.number for record in run.records}
    for number in range(1, run.count + 1):
        if number not in present:
            yield f"{run.name(number)} has not ended: run it again"
    digests = [record.digest for record in run.records]
    usual = max(digests, key=digests.count, default="")
    for record in run.records:
        if record.digest != usual:
            yield f"{run.name(record.number)} had {record.total} inputs, others had others: run it again"
        for name, reason in record.failed.items():
            yield f"{run.name(record.number)}: {reason if reason.startswith(name) else f'{name}: {reason}'}"


def _incomplete_videos(store: Store, runs: Sequence[_PartedRun], progress: Progress) -> Iterator[str]:
    """The videos that lack a part which others have, and those that cannot be read."""
    counts = {run.command: run for run in runs}
    having: dict[str, set[str]] = {}
    views = store.videos()
    with progress.task(str(store.path), len(views), "videos") as advance:
        for view in views:
            try:
                for name in _parts_of(view):
                    having.setdefault(name, set()).add(view.id)
            except StoreError as error:
                yield f"{view.id}: {reason_of(error)}"
            advance(1)
    for name in sorted(having):
        absent = [view for view in views if view.id not in having[name] and not _may_lack(view, name)]
        by_run: dict[str, list[str]] = {}
        for view in absent:
            by_run.setdefault(_step_of(name, view, counts), []).append(view.id)
        for step, ids in by_run.items():
            more = f" and {len(ids) - MAX_NAMED} more" if len(ids) > MAX_NAMED else ""
            yield f"no {name} in {', '.join(ids[:MAX_NAMED])}{more}: run {step} again"


def _parts_of(view: VideoView) -> list[str]:
    """The face and the features that a video has. Raises StoreError if it is damaged."""
    faces = ["face"] if view.has("face") else []
    return [*faces, *(f"feature/{name}" for name in view.feature_names())]


def _may_lack(view: VideoView, name: str) -> bool:
    """Whether a video is complete without a part: a sound has no faces; a damaged one is reported before."""
    try:
        return name == "face" and is_audio_only(view)
    except StoreError:
        return True


def _step_of(name: str, view: VideoView, runs: dict[str, _PartedRun]) -> str:
    """The command that makes a part of a video, with the part of the inputs that has it."""
    feature = name.removeprefix("feature/")
    for command, run in runs.items():
        step, *features = command.split(" ")
        if (step == "align" and name == "face") or feature in features:
            return run.name(part_number(recording_name(view), run.count))
    return "va align" if name == "face" else f"the extraction of {feature}"


def _missing_tables(folder: Path, run: _PartedRun) -> Iterator[str]:
    """The tables that a part has written and that are gone."""
    for record in run.records:
        for name, table in record.inputs.items():
            if name not in record.failed and not (folder / table).is_file():
                yield f"{run.name(record.number)}: {table} of {name} is not there: run it again"


def _table_options(folder: Path) -> TableOptions:
    """The decimal sign of the tables of a folder."""
    for sidecar in sorted(folder.glob(f"*{provenance.SIDECAR_ENDING}"))[:1]:
        made = provenance.read_sidecar(
            sidecar.with_name(sidecar.name.removesuffix(provenance.SIDECAR_ENDING))
        )
        output = (made or {}).get("output") or {}
        return TableOptions(decimal_comma=bool(output.get("decimal_comma")))
    return DEFAULTS
