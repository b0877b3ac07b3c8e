"""Tab completes what the command wants: files and folders where it takes them."""

from __future__ import annotations

import shutil

import pytest
from synth.shells import Shell, offered_by_fish

FILES = (
    "iv/demo.mp4",
    "my clip.mp4",
    "my dir/one two.mp4",
    ".hidden.wav",
    "runs/a/recipe.json",
    "out.csv",
    "labels/x.csv",
    "s.zarr/zarr.json",
)

# What is typed, what the shell then shows beyond it, and the last argument that the command gets.
LINES = (
    ("va predict iv/d", "emo.mp4", "iv/demo.mp4"),
    ("va predict my\\ c", "lip.mp4", "my clip.mp4"),
    ("va predict my\\ dir/on", "two.mp4", "my dir/one two.mp4"),
    ("va predict .hid", "den.wav", ".hidden.wav"),
    ("va predict iv/demo.mp4 ou", "t.csv", "out.csv"),
    ("va predict iv/demo.mp4 --model ru", "ns", "runs"),
    ("va predict iv/demo.mp4 -o ou", "t.csv", "out.csv"),
    ("va evaluate ou", "t.csv", "out.csv"),
    ("va align iv/demo.mp4 -o s.z", "arr", "s.zarr"),
    ("va import-labels lab", "els", "labels"),
    ("va import-labels labels s.z", "arr", "s.zarr"),
    ("va train s.z", "arr", "s.zarr"),
    ("va ablate s.z", "arr", "s.zarr"),
    ("va predict iv/demo.mp4 --backend dec", "ord", "decord"),
    ("va extract-v", "isual", "extract-visual"),
)


@pytest.fixture
def folder(tmp_path):
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize("kind", ["bash", "zsh"])
def test_files_folders_options_and_commands_are_completed(kind, folder):
    if not shutil.which(kind):
        pytest.skip(f"needs {kind}")
    shell = Shell(kind, folder)
    try:
        for line, echo, last in LINES:
            assert shell.complete(line, echo)[-1].rstrip("/") == last, line
        home = shell.complete("va predict ~/iv/d", "emo.mp4")
        assert home == ["predict", str(folder / "iv/demo.mp4")]
    finally:
        shell.close()


@pytest.mark.parametrize(("line", "echo", "last"), LINES, ids=[line for line, _, _ in LINES])
def test_fish_offers_files_folders_options_and_commands(line, echo, last, folder):
    if not shutil.which("fish"):
        pytest.skip("needs fish")
    assert last in [entry.rstrip("/") for entry in offered_by_fish(line, folder)]
