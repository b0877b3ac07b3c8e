"""The subcommands of `va`, each imported when it is used: the start of a command imports no other one."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module

import click

from vacli.cli import url_paths

MODULES = {  # module of `vacli.cli` -> the commands in its COMMANDS, in pipeline order
    "extraction": ("align", "extract-visual", "extract-audio", "import-feature"),
    "finalize": ("finalize",),
    "training": ("import-labels", "finetune-mae", "train"),
    "calibration": ("calibrate",),
    "crossval": ("crossval",),
    "results": ("evaluate", "compare", "ablate", "submit", "demo"),
    "predict": ("predict",),
    "live": ("live",),
    "summaries": ("summarize",),
    "tables": ("convert",),
    "figures": ("plot",),
    "reports": ("report",),
    "overlay": ("overlay",),
    "presets": ("presets",),
    "inspection": ("info", "doctor"),
    "weights": ("weights",),
    "repack": ("repack",),
    "completion": ("completion",),
    "bundled_model": ("bundled-model",),
}
MODULE_OF = {command: module for module, commands in MODULES.items() for command in commands}


class CommandTable(MutableMapping[str, click.Command]):
    """Name -> command; a value is imported when it is read."""

    def __init__(self) -> None:
        self._added: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._added:
            module = import_module(f"vacli.cli.{MODULE_OF[name]}")
            self._added |= {command.name: url_paths.refuse_urls(command) for command in module.COMMANDS}
        return self._added[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._added[name] = command

    def __delitem__(self, name: str) -> None:
        raise TypeError(f"the command {name} cannot be removed")

    def __iter__(self) -> Iterator[str]:
        return iter(MODULE_OF)

    def __len__(self) -> int:
        return len(MODULE_OF)
