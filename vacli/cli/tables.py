"""`va convert`, and the output formats of `va predict`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from vacli.cli import completion, options
from vacli.cli.console import Console
from vacli.cli.streams import put
from vacli.cli.table_target import ROWS_ENDING, is_stream
from vacli.errors import UsageError
from vacli.files.atomic import refuse_existing
from vacli.output.formats import (
    WRITERS,
    OutputFormat,
    TableOptions,
    check_options,
    ending_of,
    options_for,
    parse_ending,
    written_files,
)

if TYPE_CHECKING:
    from vacli.output.formats import RowWriter

ENDINGS = ", ".join(WRITERS)
columns = click.option(
    "--columns",
    metavar="NAME,NAME,...",
    help="Columns to write, in this order. [default: all]",
    shell_complete=completion.comma_list(completion.columns),
)
decimal_comma = click.option(
    "--decimal-comma", is_flag=True, help="Write numbers as 0,25, and `;` between the cells of CSV."
)
fill = click.option(
    "--fill", is_flag=True, help="Write values for frames without face and speech too (modality `none`)."
)


@dataclass(frozen=True)
class OutputChoice:
    """The options of a command line for the output of `va predict`.

    out: as typed, because a folder may be named by a `/` at its end. ending: of --csv or --json.
    """

    out: str | None
    ending: str | None
    also: tuple[str, ...]
    columns: str | None
    decimal_comma: bool
    summary: bool
    force: bool

    @property
    def path(self) -> Path | None:
        """The output file or folder; None for stdout."""
        return None if self.out is None else Path(self.out)

    @property
    def is_folder(self) -> bool:
        """Whether each recording gets files of its own."""
        if self.out is None or is_stream(Path(self.out)):
            return False
        separators = tuple(filter(None, (os.sep, os.altsep)))
        return self.out.endswith(separators) or os.path.isdir(self.out)

    def table_options(self) -> TableOptions:
        """The columns and the form of numbers. Raises UsageError for unknown columns."""
        return TableOptions(_parsed(self.columns), self.decimal_comma)

    def also_endings(self) -> tuple[str, ...]:
        """The endings of `--also`. Raises UsageError for an unknown one."""
        return tuple(dict.fromkeys(parse_ending("--also", text) for text in self.also))


@dataclass(frozen=True)
class PredictionOutput:
    """How `va predict` writes one table for all recordings.

    entry: the format of the rows as they are predicted. file_options: for the files that are made of these
    rows at the end, path -> ending and options; empty if the rows are the file. files: all that are written.
    """

    entry: OutputFormat
    options: TableOptions
    summary: bool
    one_recording: bool
    file_options: dict[Path, tuple[str, TableOptions]]
    files: tuple[Path, ...]

    @classmethod
    def of(cls, choice: OutputChoice) -> PredictionOutput:
        """The output of a command line.

        Raises UsageError and PackageMissing, and OutputError for a file that exists, without `--force`.
        """
        out, ending = choice.path, _ending(choice.path, choice.ending)
        options, also = choice.table_options(), choice.also_endings()
        entry = check_options(ending, options)
        if choice.summary and (entry.separator is None or choice.columns is not None or also):
            raise UsageError(f"--summary {_summary_problem(choice, ending)}", hint="write only .csv or .tsv")
        if is_stream(out):
            if also:
                raise UsageError("--also needs an output file or folder", hint="name it with -o")
            return cls(entry, options, choice.summary, False, {}, ())
        assert out is not None
        further = {out.with_suffix(one): one for one in also if out.with_suffix(one) != out}
        for one in further.values():
            check_options(one, options_for(one, options))
        files = tuple(file for path in (out, *further) for file in _files_of(path))
        refuse_existing(files, choice.force)
        one_recording = entry.one_recording or any(WRITERS[one].one_recording for one in further.values())
        if entry.by_row and not further:
            return cls(entry, options, choice.summary, one_recording, {}, files)
        made = {path: (one, options_for(one, options)) for path, one in further.items()}
        made[out] = (ending, options)  # at last
        return cls(WRITERS[ROWS_ENDING], TableOptions(), False, one_recording, made, files)

    def row_writer(self, out: TextIO, header: bool) -> RowWriter:
        """The writer of the rows."""
        if not self.summary:
            return self.entry.row_writer(out, header, self.options)
        from vacli.output.writers import SummaryWriter

        return SummaryWriter(out, header, self.entry.with_separator(self.options))

    def convert(self, rows: Path, made: Mapping[str, Any]) -> None:
        """Make the files of `file_options` from the file of rows. made: their provenance, written too."""
        from vacli.output import provenance
        from vacli.output.formats import face_labels, write_file
        from vacli.output.table_reader import read_table_file

        tables, line = read_table_file(rows).tables, provenance.as_line(made)
        for path, (ending, chosen) in self.file_options.items():
            write_file(tables, path, replace(chosen, provenance=line), ending)
        labels = face_labels([table.face_id for table in tables]) if self.one_recording else [""]
        files = [file for path in self.file_options for file in _files_of(path, labels)]
        digests = provenance.digests_of({file.name: file for file in (*self.files, *files)})
        provenance.write_sidecar(self.files[0], {**made, "files": digests})


def _summary_problem(choice: OutputChoice, ending: str) -> str:
    if choice.also:
        return "has no effect on the files of --also"
    return f"is a text table, not {ending}" if choice.columns is None else "has columns of its own"


def _files_of(path: Path, labels: Sequence[str] = ("",)) -> list[Path]:
    known = path.suffix.lower() in {ending.lower() for ending in WRITERS}
    return written_files(path, labels) if known else [path]


def _ending(out: Path | None, flag: str | None) -> str:
    """The format: of --csv or --json, else of the file's ending; CSV on stdout and in pipes."""
    if is_stream(out):
        return flag or ".csv"
    assert out is not None
    if flag is None:
        return ending_of(out)
    named = [ending for ending in WRITERS if ending.lower() == out.suffix.lower()]
    if named and named != [flag]:
        raise UsageError(f"{out} does not end with {flag}", hint="leave out --csv and --json")
    return flag


def _parsed(columns: str | None) -> tuple[str, ...] | None:
    if columns is None:
        return None
    from vacli.output.formats import parse_columns

    return parse_columns(columns)


@click.command("convert", short_help="A table of `va predict` in another file format.")
@click.argument("table", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help=f"File to write; its ending selects the format: {ENDINGS}.",
)
@click.option(
    "--input",
    "recording",
    metavar="NAME",
    help="Write only this recording: a value of the column `input`, or its file name with or without ending.",
)
@columns
@decimal_comma
@options.smooth
@options.rate
@click.option("--force", is_flag=True, help="Replace an existing file.")
def convert(**chosen: Any) -> None:
    """Write a table of `va predict` in another format.

    TABLE is CSV, TSV or JSON lines, or an output folder of `va predict`, whose tables are joined. The command
    prints the path of the new file.

    \b
    Examples:
      va convert va.csv --to va.xlsx
      va convert va.csv --to clip.eaf --input clip
      va convert va.csv --to smooth.csv --smooth 0.5s --rate 10
      va convert out/ --to va.csv
    """
    from vacli.steps import convert as step

    put(f"{step.run(step.ConvertSettings(**chosen), Console())}\n")


COMMANDS = (convert,)
