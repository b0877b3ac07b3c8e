"""Messages with the right name: of commands, options and values of va 0.1, of settings given as options."""

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
    """A sentence with the right name of an option or value; None for any other error."""
    if isinstance(error, click.NoSuchOption):
        new = OPTIONS.get(error.option_name)
        known = f"It is called {new} now." if new else _setting(error)
        return f"No such option: {error.option_name}. {known}" if known else None
    if isinstance(error, click.BadParameter) and error.param:
        for option in error.param.opts:
            for (known, old), new in VALUES.items():
                if option == known and f"'{old}'" in error.message:
                    return f"Invalid value for {option}: {old!r}. It is called {new!r} now."
    return None


def _setting(error: click.NoSuchOption) -> str | None:
    """How --set gives a setting of a recipe whose name was used as an option."""
    if error.ctx is None or all(param.name != "assignments" for param in error.ctx.command.params):
        return None
    from vacli.recipe.paths import value_choices

    name = error.option_name.lstrip("-").replace("-", "_")
    paths = [path for path in value_choices() if path.rpartition(".")[2] == name]
    return f"Give {' or '.join(f'--set {path}=VALUE' for path in paths[:3])}." if paths else None


def check_command(name: str) -> None:
    """Raise UsageError with the present name for a command that was renamed."""
    if name in COMMANDS:
        raise click.UsageError(f"No such command {name!r}. It is called `va {COMMANDS[name]}` now.")
