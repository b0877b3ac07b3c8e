"""How the result of a step is told: what the next step needs on stdout, the rest on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vacli.cli.console import Console

if TYPE_CHECKING:
    from vacli.steps.batch import Batch


def finish(batch: Batch, console: Console) -> None:
    """Tell what was done; the store's path on stdout; exit code 1 where an input failed."""
    counts = [
        f"{len(batch.done)} done",
        f"{len(batch.skipped)} complete already" if batch.skipped else "",
        f"{len(batch.failed)} failed" if batch.failed else "",
    ]
    console.say(f"{batch.out}: " + ", ".join(c for c in counts if c))
    click.echo(str(batch.out))
    if batch.failed:
        raise click.exceptions.Exit(1)
