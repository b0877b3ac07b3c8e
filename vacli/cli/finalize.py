"""`va finalize`."""

from __future__ import annotations

import click

from vacli.cli import completion, options
from vacli.cli.console import Console
from vacli.cli.report import leave
from vacli.cli.streams import put
from vacli.files.object_path import to_path


@click.command("finalize", short_help="Check that all parts of a store or a folder are there.")
@click.argument("path", metavar="STORE|FOLDER", shell_complete=completion.stores)
@click.option(
    "--parts", type=click.IntRange(1), metavar="N", help="Number of parts. [default: that of the runs]"
)
def finalize(path: str, parts: int | None) -> None:
    """Check that nothing is missing after runs with --part, and refresh the index.

    STORE is a feature store, FOLDER the output folder of `va predict`; `-` reads its path from stdin. Each
    part that did not end, each input that failed and each video that lacks a feature is named on stderr, with
    the part to run again; the exit code is then 1. Else the command prints the path.

    \b
    Examples:
      va finalize s.zarr
      va finalize out/ --parts 7
    """
    named = options.read_input(path)
    console = Console()
    from vacli.steps import finalize as step

    result = step.run(step.FinalizeSettings(path=to_path(named), parts=parts), console)
    for line in result.missing:
        console.warn(line)
    if not result.missing:
        console.info(f"{result.path}: complete")
        put(f"{result.path}\n")
    leave(bool(result.missing))


COMMANDS = (finalize,)
