"""Options that divide the inputs of a command among jobs and workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vacli.runtime.executor import DaskChoice

if TYPE_CHECKING:
    from vacli.steps._parts import Part


def _part(ctx: click.Context, param: click.Parameter, text: str | None) -> Part | None:
    from vacli.steps._parts import Part

    return None if text is None else Part.parse(text)


def _dask(ctx: click.Context, param: click.Parameter, text: str | None) -> str | None:
    if text is not None:
        DaskChoice.parse(text)  # raises for a wrong value
    return text


part = click.option(
    "--part",
    metavar="I/N",
    callback=_part,
    help="Process only part I of N of the inputs, by a hash of their names; see `va finalize`.",
)
dask = click.option(
    "--dask",
    metavar="local[:N]|tcp://HOST:PORT",
    callback=_dask,
    help="Process the inputs on a Dask cluster: N processes of this machine, or a scheduler's workers.",
)
