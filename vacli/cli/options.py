"""Options and arguments that several commands share, declared once."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import click

from vacli.cli import completion, url_paths
from vacli.cli.console import Console, terminal_width
from vacli.cli.streams import lines_of_stdin
from vacli.errors import StoreError, UsageError
from vacli.faces.selection import CHOICES as FACES
from vacli.files import store_folder
from vacli.files.object_path import ObjectPath, is_object_url, is_url, to_path
from vacli.output.columns import RECOMMENDED_MIN_QUALITY

DEFAULT_STORE = "feats.zarr"
LEFT_OUT = "vacli.left_out"  # key in the meta data of click's context
DURATION = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(ms|s|min|h)?")
UNIT_S = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
Decorated = TypeVar("Decorated", bound=Callable[..., object])


def named_files(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> dict[str, Path]:
    """NAME=FILE and FILE as name -> path; the name of a plain FILE is empty."""
    named = {}
    for value in values:
        name, sign, path = value.partition("=")
        is_plain = not sign or "/" in name or os.path.lexists(value)  # a path may have a "="
        named["" if is_plain else name] = Path(value if is_plain else path)
    return named


def seconds(ctx: click.Context | None, param: click.Parameter | None, text: str | None) -> float | None:
    """A time such as 0.5s, 200ms or 1min in seconds, also without a unit; BadParameter for another text."""
    if text is None:
        return None
    match = DURATION.fullmatch(text)
    if match is None:
        raise click.BadParameter(f"{text!r} is not a duration; write 0.5s, 200ms or 1min", ctx, param)
    return float(match[1]) * UNIT_S[match[2] or "s"]


inputs = click.argument("inputs", nargs=-1, required=True, shell_complete=completion.paths)
store = click.argument("store", required=False, shell_complete=completion.stores)
force = click.option("--force", is_flag=True, help="Redo results that were made with other settings.")
device = click.option(
    "--device",
    default="auto",
    show_default=True,
    help="auto, cpu, cuda, cuda:1 or mps.",
    shell_complete=completion.one_of(completion.DEVICES),
)
subjects = click.option(
    "--subjects",
    type=click.Path(path_type=Path),
    help="CSV video,subject: the person in each video. [default: the labels' subjects]",
)
subject_pattern = click.option(
    "--subject-pattern", metavar="REGEX", help="Part of a video's name that names the person."
)
encoder_frames = click.option(
    "--exclude-encoder-frames/--include-encoder-frames",
    default=None,
    help="Leave out frames that fine-tuned the encoder. [default: leave out, if others remain]",
)
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
model = click.option(
    "--model",
    type=click.Path(path_type=Path),
    help="A trained run. [default: the bundled model]",
    shell_complete=completion.runs,
)
weights = click.option(
    "--weights",
    multiple=True,
    metavar="[NAME=]FILE",
    callback=named_files,
    shell_complete=completion.named_paths(completion.weights),
    help="Weights of the feature NAME: a file or a finetune-mae run; repeatable. A plain FILE is for the "
    "visual feature. [default: those in the run, else the published ones]",
)
allow_mismatch = click.option(
    "--allow-mismatch",
    is_flag=True,
    help="Use stored features that differ from those of the run's training, with a warning.",
)


def face(text: str, default: str = "largest") -> Callable[[Decorated], Decorated]:
    """The option --face."""
    return click.option(
        "--face",
        default=default,
        show_default=True,
        metavar="largest|speaker|all|ID|left|right",
        help=text,
        shell_complete=completion.one_of(FACES),
    )


def assignments(text: str) -> Callable[[Decorated], Decorated]:
    """The option --set."""
    return click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="PATH=VALUE",
        help=text,
        shell_complete=completion.assignments,
    )


json_lines = click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
dry_run = click.option("--dry-run", is_flag=True, help="Print what would be done, and write nothing.")
wide = click.option(
    "--wide",
    "table_width",
    is_flag=True,
    callback=lambda ctx, param, value: terminal_width(value),
    help="Print all columns side by side, also if the terminal is narrower.",
)
split = click.option(
    "--split",
    default="held-out",
    show_default=True,
    metavar="|".join(completion.SPLITS),
    shell_complete=completion.one_of(completion.SPLITS),
)
table_format = click.option(
    "--format",
    default="table",
    show_default=True,
    metavar="|".join(completion.TABLE_FORMATS),
    shell_complete=completion.one_of(completion.TABLE_FORMATS),
)
smooth = click.option(
    "--smooth",
    "smooth_s",
    callback=seconds,
    metavar="TIME",
    help="Smooth first without delay, by a Gaussian of this width, such as 0.5s.",
)
rate = click.option(
    "--rate",
    "rate_hz",
    type=float,
    metavar="HZ",
    help="Resample first; frequencies above half the rate are removed.",
)
min_quality = click.option(
    "--min-quality",
    type=float,
    metavar="X",
    help=f"Leave out frames of a quality below X, such as {RECOMMENDED_MIN_QUALITY}. [default: keep all]",
)
_RECIPE = (
    click.option(
        "--preset",
        help="See `va presets`. [default: compact]",
        shell_complete=completion.one_of(completion.presets),
    ),
    click.option(
        "--recipe",
        "recipe_file",
        type=click.Path(path_type=Path),
        help="TOML file whose values override the preset.",
    ),
    assignments("Set one value; repeatable."),
    click.option(
        "--temporal",
        metavar="mamba|transformer|tcn|none",
        help="Temporal module.",
        shell_complete=completion.one_of(completion.temporal_modules),
    ),
    click.option(
        "--fusion",
        metavar="concat|bdca",
        help="Fusion of the streams.",
        shell_complete=completion.one_of(completion.fusions),
    ),
)
store_out = click.option(
    "-o",
    "--out",
    "out",
    type=url_paths.STORE,
    help="Store to write. [default: $VA_STORE, else ./feats.zarr]",
)


def recipe(command: Decorated) -> Decorated:
    """The options that choose the recipe of a model."""
    for option in reversed(_RECIPE):
        command = option(command)
    return command


def figure_formats(name: str) -> Callable[[Decorated], Decorated]:
    """The option `name`: the formats of figures."""
    return click.option(
        name,
        "formats" if name == "--format" else "figure_formats",
        multiple=True,
        default=("png",),
        show_default=True,
        metavar="|".join(completion.FIGURE_FORMATS),
        shell_complete=completion.one_of(completion.FIGURE_FORMATS),
        help="Format of the figures; repeatable.",
    )


def read_inputs(values: Sequence[str]) -> tuple[Path, ...]:
    """The paths named on the command line; `-` stands for the lines of stdin.

    Lines may end with CRLF or a null character, and may be UTF-16 with a byte order mark. URLs that are not
    of an object store are left out with a warning. Raises UsageError if stdin has no line or too much text,
    click's Exit if all inputs are left out.
    """
    named = [text for value in values for text in (lines_of_stdin() if value == "-" else [value])]
    if not named:
        raise UsageError("no input: stdin had no line", hint="check whether the previous step failed")
    urls = [text for text in named if is_url(text) and not _is_path(text)]
    for url in urls:
        Console().warn(f"{url} is a URL; download it first")
    if len(urls) == len(named):
        raise click.exceptions.Exit(1)
    click.get_current_context().meta[LEFT_OUT] = len(urls)
    return tuple(to_path(text) if is_object_url(text) else Path(text) for text in named if text not in urls)


def _is_path(text: str) -> bool:
    return is_object_url(text) or os.path.lexists(text)


def left_out() -> int:
    """The number of inputs that were left out because they are URLs."""
    return click.get_current_context().meta.get(LEFT_OUT, 0)


def read_input(value: str) -> Path:
    """As `read_inputs`, for a command of one store or folder; UsageError if stdin has several lines."""
    paths = read_inputs([value])
    if len(paths) > 1:
        raise UsageError(
            f"stdin has {len(paths)} lines ({paths[0]}, ...), but the command takes one store",
            hint="give one of them at a time",
        )
    return paths[0]


def store_or_default(value: str | None) -> Path:
    """The store that is named as for `read_input`, else the default store."""
    return read_input(value) if value else default_store()


def default_store() -> Path:
    """$VA_STORE, else ./feats.zarr. Raises UsageError for a URL that is not of an object store."""
    return to_path(os.environ.get("VA_STORE", "").strip() or DEFAULT_STORE)


def store_for(paths: Sequence[Path], out: Path | None) -> Path:
    """The store that a step writes: `--out`, else the store that it reads, else the default store."""
    for path in paths:
        if path.suffix == store_folder.SUFFIX and not _may_be_store(path) and not path.exists():
            raise StoreError(f"no store at {path}", hint="check its name; `va align` makes one with -o")
    if out is not None:
        return out
    named = [path for path in paths if _may_be_store(path)]
    return named[0] if named else default_store()


def _may_be_store(path: Path) -> bool:
    """Whether a path is a store; in an object store by its name, since requests must not precede a fork."""
    return path.suffix == store_folder.SUFFIX if isinstance(path, ObjectPath) else store_folder.is_store(path)
