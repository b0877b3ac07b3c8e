"""`va presets`: the presets and their recipes."""

from __future__ import annotations

import click

from vacli.cli import completion, options
from vacli.cli.console import print_table
from vacli.cli.streams import put


@click.command("presets", short_help="List the presets, or print the recipe of one.")
@click.argument("name", required=False, shell_complete=completion.one_of(completion.presets))
@options.assignments("Set one value; repeatable.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["toml", "json"]),
    default="toml",
    show_default=True,
    help="Format of a recipe; `va train --recipe` reads TOML.",
)
@options.wide
def presets(name: str | None, assignments: tuple[str, ...], form: str, table_width: int | None) -> None:
    """List all presets with parameter count and source, or print the recipe of one.

    \b
    Example:
      va presets bdca > r.toml
    """
    from vacli.recipe import io as recipe_io
    from vacli.recipe import presets as known

    if name is not None:
        recipe = recipe_io.set_values(known.preset(name), assignments)
        put((recipe_io.to_json if form == "json" else recipe_io.to_toml)(recipe))
        return
    from vacli.models.size import count_parameters

    rows = [
        [name, f"{count_parameters(recipe.model):,}", recipe.summary, recipe.source]
        for name, recipe in known.PRESETS.items()
    ]
    print_table(["preset", "parameters", "description", "source"], rows, table_width)


COMMANDS = (presets,)
