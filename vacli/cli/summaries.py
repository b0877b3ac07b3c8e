"""`va summarize`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vacli.cli import options
from vacli.cli.console import Console, print_table
from vacli.cli.given_options import given_options
from vacli.cli.report import leave
from vacli.cli.streams import put

if TYPE_CHECKING:
    from vacli.output.record_table import RecordTable


@click.command("summarize", short_help="Statistics over time: recordings, persons, groups, trials.")
@options.inputs
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File to write: .csv, .tsv, .jsonl, .parquet or .xlsx. [default: CSV on stdout, a table on a "
    "terminal]",
)
@click.option(
    "--per",
    type=click.Choice(["face", "video", "subject", "group"]),
    default="face",
    show_default=True,
    help="Unit of a row; subject and group need --groups.",
)
@click.option(
    "--bin",
    "bin_s",
    callback=options.seconds,
    metavar="TIME",
    help="One row for each bin of this length, such as 1s.",
)
@click.option(
    "--intervals",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="One row for each interval of a CSV start,end,label,input.",
)
@click.option(
    "--groups",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="CSV input,face_id,subject,GROUP,...: the person and the groups of each face.",
)
@click.option(
    "--baseline",
    metavar="START:END|FILE",
    help="When each person is neutral: seconds, or a CSV file with the columns of --intervals.",
)
@click.option(
    "--above",
    type=(click.Choice(["valence", "arousal"]), float),
    multiple=True,
    metavar="NAME X",
    help="Time with valence or arousal above X; repeatable.",
)
@options.smooth
@options.rate
@options.min_quality
@click.option("--force", is_flag=True, help="Replace an existing file.")
@click.option("--decimal-comma", is_flag=True, help="Write numbers as 0,25, and `;` between cells.")
@options.model
@options.weights
@options.allow_mismatch
@options.face("Which face.")
@options.audio_track
@options.backend
@options.device
@options.wide
def summarize(inputs: tuple[str, ...], table_width: int | None, **chosen: Any) -> None:
    """Summarize valence and arousal over time: mean, standard error, spread, quantiles, peaks.

    INPUTS are tables of `va predict`, stores, or recordings, which are predicted first. The README explains
    the columns.

    \b
    Examples:
      va summarize va.csv --bin 10s
      va summarize va.csv --intervals turns.csv --baseline 0:10
      va summarize va.csv --groups sheet.csv --per group -o groups.xlsx
    """
    from vacli.steps import summarize as step
    from vacli.steps._prediction_settings import PredictSettings

    names = ("min_quality", "model", "weights", "allow_mismatch", "face", "audio_track", "backend", "device")
    prediction = PredictSettings(
        inputs=options.read_inputs(inputs),
        given=given_options(),
        **{name: chosen.pop(name) for name in names},
    )
    settings = step.SummarizeSettings(prediction=prediction, **chosen)
    summary = step.run(settings, Console())
    if settings.out is None:
        _print(summary.table, settings.decimal_comma, table_width)
    else:
        put(f"{settings.out}\n")
    leave(bool(summary.batch.failed))


def _print(table: RecordTable, decimal_comma: bool, width: int | None) -> None:
    """Print a table for reading on a terminal, and CSV in a pipe."""
    from vacli.output.record_table import csv_text, text_rows

    if sys.stdout.isatty():
        names = [column.name for column in table.columns]
        print_table(names, text_rows(table, decimal_comma), width, keys=names.index("recordings"))
    else:
        put(csv_text(table, ".csv", decimal_comma))


COMMANDS = (summarize,)
