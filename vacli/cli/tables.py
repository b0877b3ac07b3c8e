"""`va convert`, and the output formats of `va predict`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from vacli.cli import completion
from vacli.cli.console import Console
from vacli.cli.streams import put
from vacli.cli.table_target import ROWS_ENDING, is_stream
from vacli.errors import UsageError
from vacli.output.formats import WRITERS, OutputFormat, TableOptions, check_options, ending_of

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
class PredictionOutput:
    """How `va predict` writes its tables.

    out: None for stdout. entry: the format of the rows as they are predicted. file_options: for the file that
    is made of these rows at the end, None if they are the file.
    """

    out: Path | None
    entry: OutputFormat
    options: TableOptions
    summary: bool
    one_recording: bool
    file_options: TableOptions | None

    @classmethod
    def of(
        cls, out: Path | None, ending: str | None, columns: str | None, decimal_comma: bool, summary: bool
    ) -> PredictionOutput:
        """The output of a command line; ending: of --csv or --json. Raises UsageError and PackageMissing."""
        ending = _ending(out, ending)
        chosen = TableOptions(_parsed(columns), decimal_comma)
        entry = check_options(ending, chosen)
        if summary and (entry.separator is None or columns is not None):
            problem = "has columns of its own" if columns is not None else f"is a text table, not {ending}"
            raise UsageError(f"--summary {problem}", hint="leave out --columns, and write .csv or .tsv")
        if entry.by_row:
            return cls(out, entry, chosen, summary, False, None)
        return cls(out, WRITERS[ROWS_ENDING], TableOptions(), summary, entry.one_recording, chosen)

    @property
    def convert(self) -> Callable[[Path], None] | None:
        """Makes the file from the file of rows; None if the rows are the file."""
        return None if self.file_options is None else self._convert

    def row_writer(self, out: TextIO, header: bool) -> RowWriter:
        """The writer of the rows."""
        if not self.summary:
            return self.entry.row_writer(out, header, self.options)
        from vacli.output.writers import SummaryWriter

        return SummaryWriter(out, header, self.entry.with_separator(self.options))

    def _convert(self, rows: Path) -> None:
        from vacli.output.formats import write_file
        from vacli.output.table_reader import read_table_file

        assert self.out is not None
        assert self.file_options is not None
        write_file(read_table_file(rows).tables, self.out, self.file_options)


def _ending(out: Path | None, flag: str | None) -> str:
    """The format: of --csv or --json, else of the file's ending; CSV on stdout and in pipes."""
    if is_stream(out):
        return flag or ".csv"
    assert out is not None
    if out.is_dir():
        return ".csv"  # refused as a folder when it is opened
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
    help="Write only this recording: a value of the column `input`, or a file name without ending.",
)
@columns
@decimal_comma
def convert(**chosen: Any) -> None:
    """Write a table of `va predict` in another format.

    TABLE is CSV, TSV or JSON lines. The command prints the path of the new file.

    \b
    Examples:
      va convert va.csv --to va.xlsx
      va convert va.csv --to clip.eaf --input clip
    """
    from vacli.steps import convert as step

    put(f"{step.run(step.ConvertSettings(**chosen), Console())}\n")


COMMANDS = (convert,)
