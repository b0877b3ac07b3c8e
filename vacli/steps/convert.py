"""`va convert`: a table of `va predict` in another file format."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vacli import __version__
from vacli.errors import InputError, UsageError
from vacli.files.atomic import refuse_existing
from vacli.files.digests import file_sha256
from vacli.output import provenance
from vacli.output.formats import (
    WRITERS,
    TableOptions,
    check_options,
    ending_of,
    face_labels,
    parse_columns,
    write_file,
    written_files,
)
from vacli.output.frame_table import FrameTable
from vacli.output.table_reader import TableFile, read_table_file
from vacli.output.trajectory_filter import Filter
from vacli.progress import Progress, RecordingProgress
from vacli.steps._info_record import named
from vacli.steps._recordings import media_of, named_tables

ELAN = ".eaf"


@dataclass(frozen=True, kw_only=True)
class ConvertSettings:
    """table: CSV, TSV or JSON lines of `va predict`, or its output folder, whose tables are joined.

    out: its ending selects the format. recording: a value of the column `input`, or its file name or stem;
    None for all rows. columns: comma-separated names in the order to write, None for those of the table.
    smooth_s, rate_hz: `trajectory_filter.Filter`. force: replace an existing file.
    """

    table: Path
    out: Path
    recording: str | None = None
    columns: str | None = None
    decimal_comma: bool = False
    smooth_s: float | None = None
    rate_hz: float | None = None
    force: bool = False


def run(settings: ConvertSettings, progress: Progress | None = None) -> Path:
    """Write the table in the format of the ending of `out`, which is returned.

    Raises UsageError for an unknown ending or options that the format does not have, InputError for a table
    that cannot be read, OutputError for a file that exists or cannot be written.
    """
    progress = progress or RecordingProgress()
    prepare = Filter(settings.smooth_s, settings.rate_hz)
    columns = None if settings.columns is None else parse_columns(settings.columns)
    check_options(ending_of(settings.out), TableOptions(columns, settings.decimal_comma))
    refuse_existing(written_files(settings.out), settings.force)
    file, sources = _read(settings.table, progress)
    absent = [name for name in columns or () if name not in file.columns]
    if absent:
        raise UsageError(f"{settings.table} has no column {', '.join(absent)}")
    made = {"va": __version__, "settings": prepare.settings, "inputs": sources}
    tables = [prepare(table) for table in _select(file.tables, settings)]
    written = written_files(settings.out, face_labels([table.face_id for table in tables]))
    refuse_existing(written, settings.force)
    if ending_of(settings.out) == ELAN:
        tables = _linked(tables, settings.table, progress)
    _write(settings, tables, columns or file.columns, provenance.as_line(made))
    digests = provenance.digests_of({path.name: path for path in written})
    provenance.write_sidecar(settings.out, {**made, "files": digests})
    return settings.out


def _read(given: Path, progress: Progress) -> tuple[TableFile, list[dict[str, Any]]]:
    """The table, or those of the folder joined, and the record of each."""
    paths = named_tables(given)
    if paths == [] or (paths is None and given.is_dir()):
        raise InputError(f"{given}: has no complete table of `va predict`", hint="name a table or its folder")
    tables: list[FrameTable] = []
    columns: tuple[str, ...] = ()
    sources = []
    for path in paths or [given]:
        file = read_table_file(path)
        if file.ignored:
            progress.warn(f"{path}: the columns {', '.join(file.ignored)} are left out")
        if columns and set(file.columns) != set(columns):
            differing = ", ".join(sorted(set(file.columns) ^ set(columns)))
            raise InputError(f"{path}: other columns than the tables before it: {differing}")
        columns = columns or file.columns
        tables += file.tables
        sources.append(_source(path))
    return TableFile(tables, columns), sources


def _source(table: Path) -> dict[str, Any]:
    """The record of the table, with its own provenance, if it is known and the table is unchanged."""
    record = {"name": table.name, "size_bytes": table.stat().st_size, "sha256": file_sha256(table)}
    made = provenance.read_sidecar(table)
    if made is None or made["files"].get(table.name) != record["sha256"]:
        return record
    return {**record, "provenance": {name: value for name, value in made.items() if name != "summaries"}}


def _write(
    settings: ConvertSettings, tables: list[FrameTable], columns: tuple[str, ...], provenance_line: str
) -> None:
    needs_columns = not WRITERS[ending_of(settings.out)].one_recording
    chosen = columns if needs_columns else None
    options = TableOptions(chosen, settings.decimal_comma, provenance=provenance_line)
    write_file(tables, settings.out, options)


def _linked(tables: list[FrameTable], file: Path, progress: Progress) -> list[FrameTable]:
    """The tables with the path of their recording, which ELAN opens: as written, or beside the file."""
    found = {name: media_of(name, file) for name in dict.fromkeys(table.name for table in tables)}
    for name in (name for name, path in found.items() if path is None):
        progress.warn(f"{name} is not here, so that ELAN will ask for it")
    return [replace(table, name=str(found[table.name] or table.name)) for table in tables]


def _select(tables: list[FrameTable], settings: ConvertSettings) -> list[FrameTable]:
    """The tables of the recording. Raises InputError if the table does not have it."""
    name = settings.recording
    if name is None:
        return tables
    exact = [table for table in tables if table.name == name]
    chosen = exact or [table for table in tables if name in (Path(table.name).name, Path(table.name).stem)]
    if not chosen:
        names = list(dict.fromkeys(table.name for table in tables))
        raise InputError(f"{settings.table} has no input {name!r}", hint=f"it has {named(names)}")
    return chosen
