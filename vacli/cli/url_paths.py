"""Paths on the command line that are URLs, which `pathlib.Path` would turn into local folders.

Stores and recordings may be in an object store; all other files are local.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vacli.files.object_path import is_url, to_path


class LocalPath(click.Path):
    """A path of the local file system; a URL is refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path. Raises BadParameter for a URL."""
        if isinstance(value, str) and is_url(value):
            self.fail(f"{value} is a URL; name a local path", param, ctx)
        return super().convert(value, param, ctx)


class StorePath(click.Path):
    """The path of a store, local or in an object store; a URL of another scheme is refused."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path. Raises UsageError for a URL that is not of an object store."""
        return to_path(value) if isinstance(value, str) else value


STORE = StorePath()


def refuse_urls(command: click.Command) -> click.Command:
    """The command, whose options and arguments of type `click.Path` refuse URLs; also in its subcommands."""
    for param in command.params:
        if type(param.type) is click.Path:
            param.type = LocalPath(path_type=param.type.type)
    for inner in getattr(command, "commands", {}).values():
        refuse_urls(inner)
    return command
