"""What is generated from the command tree is fresh."""

from __future__ import annotations

from pathlib import Path

import pytest

from vacli.cli.main import va
from vacli.cli.manual import pages
from vacli.models.size import count_parameters
from vacli.presets import PRESETS

TOP = Path(__file__).parents[2]


@pytest.mark.parametrize("name", pages())
def test_generated_files_are_fresh(name):
    assert (TOP / name).read_text() == pages()[name], "run python -m vacli.cli.manual"


def test_nothing_stale_lies_beside_them():
    there = {f"{folder}/{p.name}" for folder in ("man", "completions") for p in (TOP / folder).iterdir()}
    assert there == set(pages())


@pytest.mark.parametrize("name", va.commands)
def test_every_command_is_in_the_readme(name):
    assert f"va {name}" in (TOP / "README.md").read_text()


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_in_the_readme_with_its_size(name):
    count = count_parameters(PRESETS[name].model)
    assert f"| `{name}` | {PRESETS[name].summary} | {count:,} |" in (TOP / "README.md").read_text()
