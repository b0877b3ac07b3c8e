"""Paths on the command line that are URLs, which `pathlib.Path` would turn into local folders."""

from __future__ import annotations

import re
from typing import Any

import click

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class LocalPath(click.Path):
    """A path of the local file system; a URL is refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path. Raises BadParameter for a URL."""
        if isinstance(value, str) and URL.match(value):
            self.fail(f"{value} is a URL; name a local path", param, ctx)
        return super().convert(value, param, ctx)


def refuse_urls(command: click.Command) -> click.Command:
    """The command, whose options and arguments of type `click.Path` refuse URLs; also in its subcommands."""
    for param in command.params:
        if type(param.type) is click.Path:
            param.type = LocalPath(path_type=param.type.type)
    for inner in getattr(command, "commands", {}).values():
        refuse_urls(inner)
    return command
