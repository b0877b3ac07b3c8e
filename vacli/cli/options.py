"""Options and arguments that several commands share, declared once."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from vacli.errors import StoreError, UsageError

DEFAULT_STORE = "feats.zarr"


def complete_paths(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete files and folders; the arguments themselves are not checked."""
    return [CompletionItem(incomplete, type="file")]


inputs = click.argument("inputs", nargs=-1, required=True, shell_complete=complete_paths)
store = click.argument("store", required=False, shell_complete=complete_paths)
force = click.option("--force", is_flag=True, help="Redo what was made with other settings.")
device = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 or mps.")
backend = click.option(
    "--backend",
    type=click.Choice(["auto", "decord", "pyav"]),
    default="auto",
    show_default=True,
    help="Video decoder. auto is PyAV; decord is an extra and refuses files on which it is not exact.",
)
audio_track = click.option(
    "--audio-track",
    type=click.IntRange(1),
    metavar="N",
    help="Audio track to read, from 1. [default: the default one, or one with speech if that has none]",
)
store_out = click.option(
    "-o",
    "--out",
    "out",
    type=click.Path(path_type=Path),
    help="Store to write. [default: $VA_STORE, else ./feats.zarr]",
)


def read_inputs(values: Sequence[str]) -> tuple[Path, ...]:
    """The paths named on the command line; `-` stands for the lines of stdin."""
    paths: list[Path] = []
    for value in values:
        if value == "-":
            lines = sys.stdin.buffer.read().splitlines()  # bytes: names need not be UTF-8
            paths += [Path(os.fsdecode(line)) for line in lines if line.strip()]
        else:
            paths.append(Path(value))
    if not paths:
        raise UsageError("no input: stdin had no line", hint="the step before may have failed")
    return tuple(paths)


def default_store() -> Path:
    """$VA_STORE, else ./feats.zarr."""
    return Path(os.environ.get("VA_STORE") or DEFAULT_STORE)


def is_store(path: Path) -> bool:
    """Whether a path is a feature store (a folder with Zarr's own file in it)."""
    return (path / "zarr.json").is_file()


def store_for(paths: Sequence[Path], out: Path | None) -> Path:
    """Where a step writes: `--out`, else the store that it reads, else the default store."""
    for path in paths:
        if path.suffix == ".zarr" and not path.exists():
            raise StoreError(f"no store at {path}", hint="check its name; `va align` makes one with -o")
    if out is not None:
        return out
    named = [path for path in paths if is_store(path)]
    return named[0] if named else default_store()
