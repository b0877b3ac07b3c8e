"""Tab completes files, folders, stores, runs and the values of options, in each shell."""

from __future__ import annotations

import os
import pty
import resource
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import click
import pytest
from synth.shells import Shell, offered_by_fish

from vacli.cli.completion import INSTALL
from vacli.cli.main import run, va
from vacli.cli.manual import pages
from vacli.cli.shells import SHELLS
from vacli.errors import UsageError
from vacli.recipe import io, presets
from vacli.recipe.paths import value_choices

TOP = Path(__file__).parents[2]
HEAVY = ("torch", "zarr", "numpy", "av", "rich", "onnxruntime", "PIL", "scipy", "matplotlib")
TEXTS = ("1", "0.5", '["mfcc39"]', "[64]")
MAX_MORE_CPU_S = 0.1  # than importing the command line, which takes 0.15 s to 0.2 s

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
    ("va extract-v", "isual", "extract-visual"),
    ("va train s", ".zarr", "s.zarr"),
    ("va predict iv/demo.mp4 --model runs/", "a", "runs/a"),
    ("va train --preset light", "mamba", "lightmamba"),
    ("va train --set training.optim.l", "r=", "training.optim.lr="),
    ("va train --set model.temporal.kind=ma", "mba", "model.temporal.kind=mamba"),
    ("va train --temporal=ma", "mba", "--temporal=mamba"),
    ("va predict iv/demo.mp4 --face=le", "ft", "--face=left"),
    ("va predict iv/demo.mp4 --columns time_s,aro", "usal", "time_s,arousal"),
    ("va predict iv/demo.mp4 --weights vggi", "sh", "vggish"),
    ("va predict iv/demo.mp4 --weights vggish=ou", "t.csv", "vggish=out.csv"),
    ("va predict iv/demo.mp4 --out=ou", "t.csv", "--out=out.csv"),
    ("va train --init bundled-", "audio", "bundled-audio"),
    ("va extract-visual iv --feature mae", "-vit-l", "mae-vit-l"),
)
SEVERAL = (  # what is typed, and all that is offered
    ("va predict iv --weights vggish", {"vggish=", "vggish-pca=", "file"}),
    ("va train --set training.keep=", {"training.keep=best", "training.keep=last"}),
    ("va train --set window.", {"window.length_frames=", "window.stride_frames=", "window.smooth_frames="}),
    ("va predict iv --columns valence,valence", {"valence,valence_uncertainty"}),
    ("va ablate s.zarr --row lab", {"file"}),
    ("va train ", {"s.zarr"}),
    ("va train run", {"dir"}),
    ("va predict iv --model ", {"runs/a"}),
    ("va presets bdca-no-g", {"bdca-no-gate"}),
    ("va extract-audio iv --feature mf", {"mfcc39"}),
    ("va weights fetch res", {"resnet50"}),
    ("va train --device cu", {"cuda"}),
    ("va predict iv --backend d", {"decord"}),
    ("va completion fi", {"fish"}),
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
            assert _last(shell.complete(line, echo)) == _last([last]), line
        home = shell.complete("va predict ~/iv/d", "emo.mp4")
        assert home == ["predict", str(folder / "iv/demo.mp4")]
    finally:
        shell.close()


def test_fish_offers_files_folders_options_and_commands(folder):
    if not shutil.which("fish"):
        pytest.skip("needs fish")
    offered = offered_by_fish([line for line, _, _ in LINES], folder)
    for (line, _, last), entries in zip(LINES, offered, strict=True):
        assert _last([last]) in [_last([entry]) for entry in entries], line


@pytest.mark.parametrize(("line", "offered"), SEVERAL, ids=[line for line, _ in SEVERAL])
def test_all_matching_values_are_offered(line, offered, folder):
    assert set(_offered(line, folder)) == offered


def _last(words: list[str]) -> str:
    """The last word, without the mark that more follows."""
    return words[-1].rstrip("/=")


def _offered(line: str, folder: Path) -> list[str]:
    """The values that the program offers, and the type of what the shell completes, such as "file"."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(TOP),
        "_VA_COMPLETE": "fish_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": line.rpartition(" ")[2],
    }
    code = "import sys; sys.argv[0] = 'va'; from vacli.cli.main import main; main()"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    fields = [line.split("\t") for line in done.stdout.splitlines()]
    return [kind if kind in ("file", "dir") else value for kind, value, _ in fields]


@pytest.mark.parametrize(
    "line",
    [
        "va predict --columns ti",
        "va train --set training.",
        "va train --preset b",
        "va weights fetch v",
        "va extract-audio x --feature m",
        "va train ",
        "va predict x --model ",
    ],
)
def test_completion_loads_no_large_library(line, folder):
    code = (
        "import sys, os; sys.argv[0] = 'va'\n"
        "from vacli.cli.main import main\n"
        "try: main()\n"
        "finally: print(*sorted({m.partition('.')[0] for m in sys.modules}), file=sys.stderr)"
    )
    environment = {**os.environ, "PYTHONPATH": str(TOP), "_VA_COMPLETE": "bash_complete", "COMP_WORDS": line}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout
    assert not set(HEAVY) & set(done.stderr.split())


def test_completion_of_recipe_keys_is_quick(folder):
    plain = min(_cpu_s("import vacli.cli.main", folder) for _ in range(3))
    code = "import sys; sys.argv[0] = 'va'; from vacli.cli.main import main; main()"
    keys = min(_cpu_s(code, folder, "va train --set model.") for _ in range(3))
    assert keys < plain + MAX_MORE_CPU_S


def _cpu_s(code: str, folder: Path, line: str | None = None) -> float:
    environment = {**os.environ, "PYTHONPATH": str(TOP)}
    if line is not None:
        environment |= {"_VA_COMPLETE": "bash_complete", "COMP_WORDS": line}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", code]
    subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("path", value_choices())
def test_each_completed_recipe_path_and_value_can_be_set(path):
    """Set in a preset that has the path; a key of another kind of module needs the kind before it."""
    parent = path.rpartition(".")[0]
    kinds = [kind for kind in value_choices().get(f"{parent}.kind", ()) if kind != "none"]
    starts = [[], *([f"{parent}.kind={kind}"] for kind in kinds)]
    choices = value_choices()[path]
    accepted = [v for v in choices or TEXTS if any(_is_accepted([*s, f"{path}={v}"]) for s in starts)]
    assert accepted == list(choices) if choices else accepted


def _is_accepted(assignments: list[str]) -> bool:
    for name in ("bdca", "lightmamba"):
        with suppress(UsageError):
            io.set_values(presets.PRESETS[name], assignments)
            return True
    return False


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_printed_and_equals_the_installed_one(shell, capsys):
    assert run(["completion", shell]) == 0
    printed = capsys.readouterr()
    assert printed.out in pages().values()
    assert printed.err == ""


@pytest.mark.parametrize("shell", SHELLS)
def test_on_a_terminal_the_installation_is_explained(shell):
    reader, terminal = pty.openpty()
    code = f"from vacli.cli.main import run; run(['completion', {shell!r}])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdout=terminal,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(TOP)},
    )
    os.close(terminal)
    os.close(reader)
    assert INSTALL[shell] in done.stderr


def test_every_option_with_a_list_of_values_completes_one_of_them():
    """An option whose metavar lists values completes them, so that both agree."""
    for name, command in va.commands.items():
        for param in command.params:
            values = (param.metavar or "").split("|") if isinstance(param.metavar, str) else []
            fixed = [value for value in values if value and value.islower()]
            if len(values) > 1:
                context = click.Context(command, info_name=name)
                offered = [item.value for item in param.shell_complete(context, "")]
                assert set(fixed) <= set(offered), (name, param.name)
