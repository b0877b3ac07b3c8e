"""The result of a step: the path for the next step on stdout, counts on stderr."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from vacli.cli import options
from vacli.cli.console import Console
from vacli.cli.streams import put

if TYPE_CHECKING:
    from vacli.steps._batch import Batch
    from vacli.steps.dry_run import Plan


def finish(batch: Batch, console: Console) -> None:
    """Print the counts and the store's path; exit code 1 if an input failed."""
    counts = [
        f"{len(batch.done)} done",
        f"{len(batch.skipped)} complete already" if batch.skipped else "",
        f"{len(batch.failed)} failed" if batch.failed else "",
    ]
    console.info(f"{batch.out}: " + ", ".join(c for c in counts if c))
    put(f"{batch.out}\n")
    leave(bool(batch.failed))


def print_plan(plan: Plan, console: Console) -> None:
    """Print each input and what would be done with it; exit code 1 if an input failed."""
    separator = ": " if sys.stdout.isatty() else "\t"
    for one in plan.inputs:
        put(f"{one.name}{separator}{one.action}\n")
    console.info(f"{plan.out}: {len(plan.inputs)} planned, nothing was written")
    leave(bool(plan.failed))


def leave(failed: bool) -> None:
    """Exit with code 1 if an input failed, in the step or when the inputs were read."""
    if failed or options.left_out():
        raise click.exceptions.Exit(1)
