"""`va info` and `va doctor`: what is stored, and whether the installation works."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from vacli.cli import completion, options
from vacli.cli.console import Console, print_table, terminal_width
from vacli.cli.report import leave
from vacli.cli.streams import put
from vacli.errors import VaError

if TYPE_CHECKING:
    from vacli.steps.info import Info

BYTE_UNITS = ("bytes", "kB", "MB", "GB", "TB")
UNITS = {"_s": "s", "_hz": "Hz", "_px": "px", "_deg": "degrees"}


@click.command("info", short_help="Contents of a store, run, recording or table, and what is missing.")
@click.argument("paths", nargs=-1, required=True, shell_complete=completion.paths)
@click.option(
    "--check", is_flag=True, help="Compare all data of a store with their checksums; exit with 1 on damage."
)
@options.json_lines
@options.wide
def info(paths: tuple[str, ...], check: bool, as_json: bool, table_width: int | None) -> None:
    """Describe stores, runs, recordings, pictures, folders, and tables and output folders of `va predict`.

    For a store: videos, hours, features with their versions, labels, damaged parts. For a run: recipe,
    features, folds, scores, calibration. For a recording: streams, frame rate, rotation, audio tracks, and
    whether `va` can read it. The command that adds what is missing is shown.

    \b
    Examples:
      va info s.zarr
      va info runs/bdca clip.mp4 --json
    """
    from vacli.output.formats import is_companion
    from vacli.steps import info as step

    console, failed = Console(), False
    inputs = options.read_inputs(paths)
    for path in [path for path in inputs if not is_companion(path)] or inputs:
        try:
            found = step.run(step.InfoSettings(path=path, check=check))
        except VaError as error:
            console.warn(error.one_line())
            failed = True
            continue
        failed |= check and bool(found.problems)
        if as_json:
            put(json.dumps(found.to_dict(), ensure_ascii=False) + "\n")
        else:
            _print_info(found, table_width)
    leave(failed)


def _print_info(found: Info, table_width: int | None) -> None:
    put(f"{found.path}: {found.kind}\n")
    shown = {name: _text(name, value) for name, value in found.values.items()}
    width = max((len(_label(name)) for name in shown), default=0)
    for name, value in shown.items():
        if value:
            put(f"  {_label(name):{width}}  {value}\n")
    for name, rows in found.tables.items():
        if rows:
            put(f"\n{_label(name)}:\n")
            _print_rows(rows, table_width)
    for heading, lines in (
        ("problems", list(found.problems)),
        ("missing", [f"{missing.description}: {missing.command}" for missing in found.missing]),
    ):
        put("".join(f"{line}\n" for line in [f"\n{heading}:", *(f"  {text}" for text in lines)] if lines))
    put("\n")


def _print_rows(rows: Sequence[Mapping[str, Any]], table_width: int | None) -> None:
    header = [name for name in rows[0] if any(_text(name, row[name]) for row in rows)]
    cells = [[_text(name, row[name]) for name in header] for row in rows]
    print_table([_label(name) for name in header], cells, table_width)


def _label(name: str) -> str:
    """A name of a value without its unit, as words."""
    for end in (*UNITS, "_bytes"):
        name = name.removesuffix(end)
    return name.replace("_", " ")


def _text(name: str, value: Any) -> str:
    if value is None or value == [] or value == {}:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_text(key, inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if name.endswith("_bytes"):
        return _bytes(value)
    if name == "duration_s" and value >= 3600:
        return f"{value / 3600:.1f} h"
    unit = next((unit for end, unit in UNITS.items() if name.endswith(end)), "")
    number = (
        f"{value:,}" if isinstance(value, int) else f"{value:,.10g}" if isinstance(value, float) else value
    )
    return f"{number} {unit}".rstrip()


def _bytes(count: int) -> str:
    power = min(int(math.log(max(count, 1), 1000)), len(BYTE_UNITS) - 1)
    return f"{count / 1000**power:.3g} {BYTE_UNITS[power]}"


@click.command("doctor", short_help="Check the installation.")
@options.json_lines
def doctor(as_json: bool) -> None:
    """Check the installation, and predict a short generated clip.

    Each check is ok, a note, or a problem with what to do. The exit code is 1 if something does not work that
    `va predict` needs.

    \b
    Example:
      va doctor
    """
    from vacli.steps import doctor as step

    failed = False
    for check in step.run():
        failed |= check.is_needed and check.status == step.PROBLEM
        if as_json:
            put(json.dumps(asdict(check), ensure_ascii=False) + "\n")
        else:
            _put_wrapped(f"{check.status:8} {check.name}: {check.detail}")
            if check.advice and check.status != step.OK:
                _put_wrapped(f"{'':8} -> {check.advice}")
    leave(failed)


def _put_wrapped(line: str) -> None:
    """Print a line, on a terminal wrapped between words and indented below its first word."""
    width = terminal_width(False)
    if width is not None:
        line = textwrap.fill(line, width, subsequent_indent=" " * 9, break_on_hyphens=False)
    put(f"{line}\n")


COMMANDS = (info, doctor)
