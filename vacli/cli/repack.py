"""`va repack`: a store in the present layout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vacli.cli import options, url_paths
from vacli.cli.console import Console
from vacli.cli.report import finish

if TYPE_CHECKING:
    from vacli.store.repack import FolderSize


@click.command("repack", short_help="Write a store again, so that it takes less disk.")
@options.store
@click.option(
    "-o",
    "--out",
    type=url_paths.STORE,
    metavar="STORE",
    help="Store to write. [default: replace the videos of the store]",
)
def repack(store: str | None, out: Path | None) -> None:
    """Write the videos of a store again in the present layout, which takes less disk and fewer files.

    Stores of earlier versions are read as they are, so this is not necessary. The values are compared
    before a video is replaced. An interrupted command can be repeated: it skips the videos that are done.
    The command shows the sizes before and after and prints the store's path.

    \b
    Examples:
      va repack s.zarr
      va repack s.zarr -o small.zarr
    """
    from vacli.steps import repack as step

    console = Console()
    path = options.store_or_default(store)
    result = step.run(step.RepackSettings(store=path, out=out), console)
    console.info(f"{path}: {_text(result.before)} before, {_text(result.after)} after")
    finish(result, console)


def _text(size: FolderSize) -> str:
    return f"{size.size_bytes / 1e6:.1f} MB in {size.files:,} files"


COMMANDS = (repack,)
