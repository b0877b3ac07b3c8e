"""`va plot`: figures of a store."""

from __future__ import annotations

from pathlib import Path

import click

from vacli.cli import options
from vacli.cli.console import Console
from vacli.cli.report import finish


@click.command("plot", short_help="Figures of the labels of a store.")
@options.store
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), default=Path("figures"), show_default=True, help="Folder."
)
@options.figure_formats("--format")
def plot(store: str | None, out: Path, formats: tuple[str, ...]) -> None:
    """Draw the labels of a store: each video over time, histograms, and their density in the plane.

    Labels that were filled in or repaired have their own colour. The command prints the folder's path.

    \b
    Example:
      va plot s.zarr -o figures/ --format pdf
    """
    from vacli.steps import plot as step

    console = Console()
    (path,) = options.read_inputs([store]) if store else (options.default_store(),)
    finish(step.run(step.PlotSettings(store=path, out=out, formats=formats), console), console)


COMMANDS = (plot,)
