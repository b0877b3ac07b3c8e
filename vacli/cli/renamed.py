"""Names of commands, options and option values in va 0.1, for messages with the present names."""

from __future__ import annotations

import click

COMMANDS = {
    "labels": "import-labels",
    "corpus": "bundled-model import",
    "compose": "bundled-model synthesize",
    "bundle": "bundled-model export",
}
OPTIONS = {
    "--stills": "--images",
    "--held": "--holdout",
    "--average": "--ema-decay",
    "--accumulate": "--grad-accum",
    "--every": "--frame-stride",
    "--most-per-video": "--max-frames-per-video",
    "--copies": "--augment-copies",
    "--sounds": "--augmented-dir",
    "--speech": "--speech-reference",
    "--on": "--split",
    "--sample": "--frame-list",
}
VALUES = {
    ("--align", "past"): "causal",
    ("--normalise", "own"): "model",
    ("--normalise", "channels"): "per-channel",
}


def successor(error: click.ClickException) -> str | None:
    """A sentence with the present name of an old option or value; None for any other error."""
    if isinstance(error, click.NoSuchOption):
        new = OPTIONS.get(error.option_name)
        return f"No such option: {error.option_name}. It is called {new} now." if new else None
    if isinstance(error, click.BadParameter) and error.param:
        for option in error.param.opts:
            for (known, old), new in VALUES.items():
                if option == known and f"'{old}'" in error.message:
                    return f"Invalid value for {option}: {old!r}. It is called {new!r} now."
    return None


def check_command(name: str) -> None:
    """Raise UsageError with the present name for a command that was renamed."""
    if name in COMMANDS:
        raise click.UsageError(f"No such command {name!r}. It is called `va {COMMANDS[name]}` now.")
