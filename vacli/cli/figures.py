"""`va plot`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vacli.cli import completion, options
from vacli.cli.console import Console
from vacli.cli.given_options import given_options
from vacli.cli.report import finish


@click.command("plot", short_help="Figures of predictions, or of the labels of a store.")
@click.argument("inputs", nargs=-1, shell_complete=completion.paths)
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), default=Path("figures"), show_default=True, help="Folder."
)
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    help="A trained run for recordings. [default: the bundled model]",
    shell_complete=completion.runs,
)
@options.face("Which face of recordings.", default="all")
@options.figure_formats("--format")
@click.option("--force", is_flag=True, help="Replace existing files that are no figures of va.")
def plot(inputs: tuple[str, ...], **chosen: Any) -> None:
    """Draw predictions, or the labels of a store, as figures for papers.

    INPUTS are recordings or tables of `va predict`: one figure for each recording has valence and arousal
    over time with their uncertainty, shaded by modality, and the valence-arousal plane. Of a store the labels
    are drawn: each video over time, histograms, and their density in the plane; labels that were filled in or
    repaired have their own colour. Without INPUTS it is the default store. Earlier figures of va are
    replaced, other files only with --force. The command prints the folder's path.

    \b
    Examples:
      va plot clip.mp4 --format pdf
      va plot va.csv -o figures/
      va plot s.zarr -o figures/
    """
    from vacli.steps import plot as step

    console = Console()
    paths = options.read_inputs(inputs) if inputs else (options.default_store(),)
    settings = step.PlotSettings(inputs=paths, given=given_options(), **chosen)
    finish(step.run(settings, console), console)


COMMANDS = (plot,)
