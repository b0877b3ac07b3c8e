"""`va report`: web pages of recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vacli.cli import cluster_options, options, supervisor
from vacli.cli.console import Console
from vacli.cli.given_options import given_options
from vacli.cli.report import finish


@click.command("report", short_help="Web pages with player, curves and plane: recordings -> HTML.")
@options.inputs
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), default=Path("report"), show_default=True, help="Folder."
)
@click.option("--embed", is_flag=True, help="Put the recordings into the pages, so that one file has it all.")
@options.model
@options.weights
@options.allow_mismatch
@options.face("Which faces.", default="all")
@options.min_quality
@options.audio_track
@options.backend
@options.device
@cluster_options.dask
def report(inputs: tuple[str, ...], out: Path, embed: bool, **chosen: Any) -> None:
    """Write a web page for each recording: player, curves, plane, clearest moments, summary and limits.

    INPUTS are recordings, folders of them, stores, or tables of `va predict` (CSV, TSV, JSON lines), whose
    column `input` names the recordings. `-` reads paths from stdin. The pages need no network; they link the
    recordings, unless --embed is given. index.html lists them. Pages of an earlier report are replaced. The
    command prints the folder's path.

    \b
    Examples:
      va report videos/ -o report/
      va report va.csv -o report/
      va report clip.mp4 --embed -o report/
    """
    paths = options.read_inputs(inputs)
    console = Console(is_news=supervisor.split().is_news)
    from vacli.steps import report as step
    from vacli.steps._prediction_settings import PredictSettings

    predict = PredictSettings(inputs=paths, given=given_options(), **chosen)
    settings = step.ReportSettings(predict=predict, out=out, embed=embed)
    finish(step.run(settings, console), console)


COMMANDS = (report,)
