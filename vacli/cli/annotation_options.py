"""Options for the reading of annotation files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vacli.cli.finite_range import FiniteRange

if TYPE_CHECKING:
    from collections.abc import Callable

    from vacli.datasets.annotation_options import AnnotationOptions

Command = TypeVar("Command", bound="Callable[..., Any]")

_OPTIONS = (
    click.option("--time-column", metavar="NAME", help="Column of the times."),
    click.option(
        "--valence-column", multiple=True, metavar="NAME", help="Column of valence; one for each rater."
    ),
    click.option(
        "--arousal-column", multiple=True, metavar="NAME", help="Column of arousal; one for each rater."
    ),
    click.option("--video-column", metavar="NAME", help="Column of the videos, in a table of several."),
    click.option(
        "--unit",
        type=click.Choice(["s", "ms", "frames", "timecode"]),
        help="Unit of the times. timecode is HH:MM:SS.mmm or HH:MM:SS:FF. [default: by the name, else s]",
    ),
    click.option(
        "--range",
        "value_range",
        type=(float, float),
        default=(-1.0, 1.0),
        show_default="-1 1",
        metavar="LOW HIGH",
        help="Scale of the annotations, such as 1 7. It is mapped to -1 to 1.",
    ),
    click.option(
        "--delay",
        "delay_s",
        type=FiniteRange(0),
        default=0.0,
        metavar="SECONDS",
        help="Reaction delay of the raters: with 2.0 the labels are moved 2 s earlier.",
    ),
    click.option(
        "--raters",
        type=click.Choice(["mean", "ewe"]),
        default="mean",
        show_default=True,
        help="Combination of several raters; ewe is the evaluator-weighted estimator.",
    ),
    click.option(
        "--rater-pattern",
        metavar="REGEX",
        help="Part of a file's path that names the rater. [default: as in rater1/clip.csv, clip_rater1.csv]",
    ),
)
_COLUMNS = ("time", "valence", "arousal", "video")


def reading(command: Command) -> Command:
    """Add the options to a command; `take` collects them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def labels(command: Command) -> Command:
    """Add --labels, the files to score predictions against, and the options for their reading."""
    option = click.option(
        "--labels",
        type=click.Path(path_type=Path),
        help="Annotation files to score predictions against; --time-column to --rater-pattern say how they "
        "are read.",
    )
    return option(reading(command))


def take(chosen: dict[str, Any]) -> AnnotationOptions:
    """The values of the options, which are removed from those of the command."""
    from vacli.datasets.annotation_options import AnnotationOptions
    from vacli.datasets.label_columns import ColumnNames
    from vacli.datasets.label_tables import TableFormat

    columns = ColumnNames(**{name: chosen.pop(f"{name}_column") for name in _COLUMNS})
    table_format = TableFormat(
        columns=columns, **{name: chosen.pop(name) for name in ("unit", "value_range")}
    )
    others = {name: chosen.pop(name) for name in ("delay_s", "raters", "rater_pattern")}
    return AnnotationOptions(table_format=table_format, **others)
