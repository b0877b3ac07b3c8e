"""Commands, options and values of va 0.1 are refused with their present names."""

from __future__ import annotations

import click
import pytest

from vacli.cli import renamed
from vacli.cli.main import run, va


def message(capsys, *arguments: str) -> str:
    assert run(list(arguments)) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(("old", "new"), renamed.COMMANDS.items())
def test_an_old_command_names_the_new_one(capsys, old, new):
    assert f"No such command '{old}'. It is called `va {new}` now." in message(capsys, old)
    command: click.Command = va
    for part in new.split():
        assert isinstance(command, click.Group)
        command = command.commands[part]


def commands(group: click.Group = va, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], click.Command]:
    found = {}
    for name, command in group.commands.items():
        found[(*path, name)] = command
        if isinstance(command, click.Group):
            found |= commands(command, (*path, name))
    return found


def having(option: str) -> list[tuple[str, ...]]:
    return [path for path, command in commands().items() if any(option in p.opts for p in command.params)]


@pytest.mark.parametrize(("old", "new"), renamed.OPTIONS.items())
def test_an_old_option_names_the_new_one(capsys, old, new):
    (path, *_) = having(new)
    assert not having(old) or old == "--speech"
    assert f"No such option: {old}. It is called {new} now." in message(capsys, *path, old, "x")


@pytest.mark.parametrize(("key", "new"), renamed.VALUES.items())
def test_an_old_value_names_the_new_one(capsys, key, new):
    option, old = key
    (path, *_) = having(option)
    said = message(capsys, *path, "x", option, old)
    assert f"Invalid value for {option}: '{old}'. It is called '{new}' now." in said


def test_a_setting_that_is_given_as_an_option_names_its_path(capsys):
    said = message(capsys, "train", "x", "--epochs", "2")
    assert "No such option: --epochs. Give --set training.epochs=VALUE." in said
    assert "--set" not in message(capsys, "predict", "x", "--epochs", "2")


def test_an_unknown_option_is_not_called_renamed(capsys):
    assert "now" not in message(capsys, "predict", "x", "--nothing")
