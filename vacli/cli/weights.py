"""`va weights`: the weights of the features: their files, sources, licences and digests."""

from __future__ import annotations

import click

from vacli.cli import completion, options
from vacli.cli.console import Console, print_table
from vacli.cli.report import leave
from vacli.cli.streams import put

HEADER = ("name", "file", "source", "licence", "sha256", "state")


@click.group(
    "weights",
    short_help="List the weights of the features, or fetch them.",
    invoke_without_command=True,
    subcommand_metavar="[COMMAND] [ARGS]...",  # versions of click differ in it
)
@options.wide
@click.pass_context
def weights(ctx: click.Context, table_width: int | None) -> None:
    """List the weights of the features: file, source, licence, SHA-256 and whether they are here.

    Each file is checked against its SHA-256 before it is used. The digest may be shortened to the digits
    that the publisher states. Files of the Hugging Face hub are named by their digest, which is listed once
    they are in the cache.

    \b
    Examples:
      va weights
      va weights fetch mae-vit-l vggish
    """
    if ctx.invoked_subcommand is not None:
        return
    from vacli.steps import weights as step

    rows = [
        [w.name, w.record.file, w.record.source, w.record.licence, w.sha256 or "by the hub", w.state]
        for w in step.list_weights()
    ]
    print_table(HEADER, rows, table_width)


@weights.command("fetch", short_help="Fetch weights into the cache.")
@click.argument("names", nargs=-1, required=True, shell_complete=completion.one_of(completion.weights))
def fetch(names: tuple[str, ...]) -> None:
    """Fetch weights into the cache of their publisher's client, and print the paths of the files.

    NAMES are those of `va weights`, speech checkpoints as hub:OWNER/NAME, or timm models. A failed
    download leaves nothing.

    \b
    Example:
      va weights fetch mae-vit-l vggish
    """
    from vacli.steps import weights as step

    result = step.run(step.FetchSettings(names=names), Console())
    for path in result.paths.values():
        put(f"{path}\n")
    leave(bool(result.failed))


COMMANDS = (weights,)
