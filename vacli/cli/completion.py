"""`va completion`, and the values that Tab completes. Nothing here imports a large library."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from vacli.cli.shells import PART, SHELLS, script
from vacli.cli.streams import put
from vacli.files import store_folder

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
Values = Iterable[str] | Mapping[str, str]  # or value -> help text
RUNS = "runs"  # the folder of the runs that have no --out
RUN_FILES = ("recipe.json", "encoder.json")  # of a model and of an encoder
PLAIN_PATH = re.compile(r"[\w./+,@%-]*")  # a path that no shell needs quotes for
DEVICES = ("auto", "cpu", "cuda", "mps")
SPLITS = ("held-out", "train", "validation", "test", "all")
TABLE_FORMATS = ("table", "json", "markdown", "latex")
FIGURE_FORMATS = ("png", "pdf", "svg")
PAPERS = ("lightmamba", "bdca")
ENCODERS = ("mae-vit-l", "compact")
BUNDLED = ("bundled", "bundled-audio")
DTYPES = ("auto", "float32", "bfloat16")
INSTALL = {
    "bash": 'add `eval "$(va completion bash)"` to ~/.bashrc',
    "zsh": 'add `eval "$(va completion zsh)"` to ~/.zshrc, after compinit',
    "fish": "run `va completion fish > ~/.config/fish/completions/va.fish`",
}


def one_of(values: Values | Callable[[], Values]) -> Complete:
    """Completion of some values; a function is called when they are needed."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return _matching(_called(values), incomplete)

    return complete


def comma_list(values: Values | Callable[[], Values]) -> Complete:
    """Completion of a list such as `a,b,c` from values that are not in it yet."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(",")
        chosen = set(before.split(","))
        items = _matching([name for name in _called(values) if name not in chosen], last)
        return [CompletionItem(f"{before}{comma}{item.value}", type=PART) for item in items]

    return complete


def any_of(*parts: Complete) -> Complete:
    """Completion of all that the parts complete."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [item for part in parts for item in part(ctx, param, incomplete)]

    return complete


def paths(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Completion of files and folders; the arguments are not checked."""
    return [CompletionItem(incomplete, type="file")]


def stores(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Completion of the stores in a folder; of folders where there is none."""
    return _folders(incomplete, lambda path: store_folder.is_store(Path(path)), places=("",))


def runs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Completion of the runs in a folder, and of those in ./runs; of folders where there is none."""
    return _folders(incomplete, _is_run, places=("", f"{RUNS}/"))


def named_paths(names: Values | Callable[[], Values]) -> Complete:
    """Completion of NAME=FILE and of FILE."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        _, sign, path = incomplete.partition("=")
        if sign:
            return paths(ctx, param, path)
        named = [
            CompletionItem(f"{item.value}=", type=PART) for item in _matching(_called(names), incomplete)
        ]
        return [*named, *paths(ctx, param, incomplete)]

    return complete


def assignments(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Completion of PATH=VALUE: the paths of a recipe, and the values of those that have a list of them."""
    from vacli.recipe.paths import value_choices

    choices = value_choices()
    path, sign, value = incomplete.partition("=")
    if sign:
        return [CompletionItem(f"{path}={v}") for v in choices.get(path, ()) if v.startswith(value)]
    return [CompletionItem(f"{name}=", type=PART) for name in choices if name.startswith(path)]


def presets() -> dict[str, str]:
    """Name -> summary of the presets."""
    from vacli.recipe.presets import PRESETS

    return {name: recipe.summary for name, recipe in PRESETS.items()}


def temporal_modules() -> list[str]:
    """The names for --temporal."""
    from vacli.recipe.modules import TEMPORAL

    return list(TEMPORAL)


def fusions() -> list[str]:
    """The names for --fusion."""
    from vacli.recipe.modules import FUSION

    return list(FUSION)


def columns() -> Mapping[str, str]:
    """The columns of `va predict` and their descriptions."""
    from vacli.output.columns import COLUMNS

    return COLUMNS


def live_columns() -> Mapping[str, str]:
    """The columns of `va live` and their descriptions."""
    from vacli.output.columns import LIVE_COLUMNS

    return LIVE_COLUMNS


def weights() -> dict[str, str]:
    """Name -> licence of the weights of `va weights`."""
    from vacli.features.weights import WEIGHTS

    return {name: record.licence for name, record in WEIGHTS.items()}


def features(modality: str) -> dict[str, str]:
    """Name -> description of the features of a modality."""
    from vacli.features.registry import EXTRACTORS, names

    return {name: EXTRACTORS[name].help for name in names(modality)}


def _called(values: Values | Callable[[], Values]) -> Values:
    return values() if callable(values) else values


def _matching(values: Values, incomplete: str) -> list[CompletionItem]:
    helps = values if isinstance(values, Mapping) else {}
    return [CompletionItem(v, help=helps.get(v) or None) for v in values if v.startswith(incomplete)]


def _folders(
    incomplete: str, is_wanted: Callable[[str], bool], places: tuple[str, ...]
) -> list[CompletionItem]:
    """The wanted folders that begin with `incomplete`, else the type of all folders.

    places: folders that are searched if nothing is typed, as text before a name.
    """
    parent, slash, name = incomplete.rpartition("/")
    searched = places if not incomplete else (f"{parent}{slash}",)
    found = [path for place in searched for path in _below(place, name) if is_wanted(path)]
    if found and all(PLAIN_PATH.fullmatch(path) for path in found):
        return [CompletionItem(path) for path in sorted(found)]
    return [CompletionItem(incomplete, type="dir")]


def _below(place: str, name: str) -> list[str]:
    """The paths of the folders in a place whose names begin with `name`; hidden ones only if it does."""
    try:
        entries = os.listdir(place or ".")
    except OSError:
        return []
    return [
        f"{place}{entry}"
        for entry in entries
        if entry.startswith(name or "") and (not entry.startswith(".") or name.startswith("."))
    ]


def _is_run(path: str) -> bool:
    return any(os.path.isfile(f"{path}/{place}{file}") for place in ("", "fold_1/") for file in RUN_FILES)


@click.command("completion", short_help="Print the script that makes Tab complete `va`.")
@click.argument("shell", type=click.Choice(list(SHELLS)))
def completion(shell: str) -> None:
    """Print the script that makes Tab complete commands, options and their values.

    On a terminal the command also shows how to install it.

    \b
    Examples:
      eval "$(va completion bash)"      # in ~/.bashrc
      eval "$(va completion zsh)"       # in ~/.zshrc, after compinit
      va completion fish > ~/.config/fish/completions/va.fish
    """
    put(script(shell))
    if sys.stdout.isatty():
        from vacli.cli.console import Console

        Console().info(f"to install it: {INSTALL[shell]}, and start a new shell")


COMMANDS = (completion,)
