"""The shell around the steps: light, one line for an error, the right exit code, stdout for the result."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vacli.cli import main as cli
from vacli.cli.main import run, va
from vacli.cli.signals import Stopped
from vacli.errors import InputError, ReaderGone, UsageError


@pytest.mark.parametrize("name", va.commands)
def test_every_command_has_help(name, capsys):
    assert run([name, "--help"]) == 0
    said = capsys.readouterr().out
    assert va.commands[name].get_short_help_str()
    assert f"va {name}" in said
    assert len(said.splitlines()) > 5


def test_commands_are_listed_in_pipeline_order():
    order = [
        "align",
        "extract-visual",
        "extract-audio",
        "import-labels",
        "finetune-mae",
        "train",
        "evaluate",
        "predict",
    ]
    assert [name for name in va.commands if name in order] == order


def test_help_of_a_command_loads_nothing_heavy():
    code = (
        "import sys; from vacli.cli.main import run; run(['predict', '--help']);"
        "print(*sorted({m.split('.')[0] for m in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "zarr", "numpy", "rich", "av", "timm"} & set(done.stderr.split())


def test_exit_handlers_run_and_objects_are_not_freed():
    code = (
        "import atexit, sys; from vacli.cli.main import main\n"
        "class Kept:\n"
        "    def __del__(self): print('freed')\n"
        "sys.modules['kept'] = Kept()\n"
        "import vacli.cli.main as cli; real = cli.run\n"
        "cli.run = lambda *a, **o: (atexit.register(print, 'handler'), real(*a, **o))[1]\n"
        "sys.stdout.write('first '); main(sys.argv[1:])"
    )
    for arguments, exit_code in ((["presets"], 0), (["predcit"], 2)):
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
        assert done.returncode == exit_code
        assert done.stdout.startswith("first ")
        assert done.stdout.endswith("handler\n")


STOP_AT_IMPORT = """
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            raise Stopped(15)
sys.meta_path.insert(0, Finder())
"""
STOP_AT_REPORT = """
import vacli.cli.main as cli
def fail(*arguments):
    raise Stopped(15)
cli._fail = fail
"""


@pytest.mark.parametrize(("before", "said"), [(STOP_AT_IMPORT, "va: interrupted\n"), (STOP_AT_REPORT, "")])
def test_a_signal_at_the_start_and_at_the_end_shows_no_traceback(before, said):
    code = f"import sys\nfrom vacli.cli.signals import Stopped{before}from vacli.__main__ import main\nmain()"
    done = subprocess.run([sys.executable, "-c", code, "predcit"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (143, said)


def test_completion_answers_from_the_command_tree():
    environment = {"_VA_COMPLETE": "bash_complete", "COMP_WORDS": "va extr", "COMP_CWORD": "1"}
    code = "from vacli.cli.main import va; va.main(prog_name='va', complete_var='_VA_COMPLETE')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout.split() == ["plain,extract-visual", "plain,extract-audio"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["predcit"], 2, "va: No such command 'predcit'"),
        (["train", "--epoch"], 2, "See `va train --help`."),
        (["presets", "lightmanba"], 2, "did you mean 'lightmamba'?"),
        pytest.param(
            ["train", "absent.zarr"],
            1,
            "va: no store at absent.zarr; `va align` or `va extract-audio` makes one",
            marks=pytest.mark.torch,
        ),
        pytest.param(
            ["train", "x.zarr", "--preset", "bdca", "--set", "model.temporal.d_mode=3"],
            2,
            "did you mean 'd_model'?",
            marks=pytest.mark.torch,
        ),
        (["predict", "absent.mp4"], 1, "absent.mp4"),
    ],
)
def test_a_failure_is_one_line(arguments, code, said, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert captured.err.startswith("va: ") or arguments[0] == "predict"
    assert "Traceback" not in captured.err


class Failing:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __call__(self, *args: object, **kwargs: object) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["predict", ""], "an argument is empty"),
        (["predict", "a.mp4", "-o", ""], "an argument is empty"),
        (["bundled-model", "synthesize", ""], "an argument is empty"),
        (["train", "--out="], "--out= has no value"),
    ],
)
def test_an_empty_argument_is_not_the_current_folder(words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(words) == 2
    assert capsys.readouterr().err == f"va: {said}; a variable of the shell may be unset\n"


def import_error() -> InputError:
    """An error as a step raises it where a signal arrived while a library was imported."""
    imported, error = ImportError("initialization failed"), InputError("not readable")
    imported.__cause__, error.__cause__ = Stopped(15), imported
    return error


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InputError("no", hint="do this"), 1, "va: no; do this\n"),
        (UsageError("no"), 2, "va: no\n"),
        (KeyboardInterrupt(), 130, "va: interrupted; what was complete is kept"),
        (Stopped(15), 143, "va: interrupted; what was complete is kept"),
        (import_error(), 143, "va: interrupted; what was complete is kept"),
        (ReaderGone("x"), 0, ""),
        (PermissionError(13, "Permission denied", "x"), 1, "va: x: Permission denied; check that the path"),
        (OSError(28, "No space left on device", "/x/y"), 1, "va: /x/y: no space left; "),
        (OSError(28, "No space left on device"), 1, "va: no space left on a disk that is written to; make"),
        (RuntimeError("os error 28"), 1, "va: no space left on a disk that is written to; make room"),
        (ZeroDivisionError("x"), 1, "va: unexpected ZeroDivisionError: x; run it again with --traceback"),
    ],
)
def test_errors_become_exit_codes(error, code, said, capsys, monkeypatch):
    monkeypatch.setattr(cli.va, "main", Failing(error))
    assert run(["presets"]) == code
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("command", "how"), [("train", "with --resume"), ("predict", "again")])
def test_an_interruption_says_how_the_command_is_continued(command, how, capsys, monkeypatch):
    monkeypatch.setattr(cli.va, "main", Failing(Stopped(2)))
    assert run([command, "x"]) == 130
    assert f"run the same command {how} to finish" in capsys.readouterr().err


def test_a_traceback_is_shown_when_asked_for(capsys, monkeypatch):
    monkeypatch.setattr(cli.va, "main", Failing(InputError("no")))
    assert run(["presets", "--traceback"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_presets_print_a_recipe(capsys):
    assert run(["presets", "bdca", "--set", "training.epochs=3"]) == 0
    assert "epochs = 3\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", ["finetune-mae s.zarr -o r --lr nan", "import-labels l.csv s.zarr --delay inf"]
)
def test_numbers_that_are_not_finite_are_refused(arguments, capsys):
    assert run(arguments.split()) == 2
    assert "is not a finite number" in capsys.readouterr().err
