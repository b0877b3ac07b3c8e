"""Names of every kind reach stdout, nothing that a terminal obeys reaches one, closed streams are met."""

from __future__ import annotations

import codecs
import io
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

import vacli
from vacli.cli import options, streams
from vacli.cli.console import Console
from vacli.cli.main import run, va

SCRIPT = Path(__file__).parents[1] / "synth" / "stub_command.py"
PLACE = {"PYTHONPATH": str(Path(vacli.__file__).parents[1]), "PATH": os.environ["PATH"]}
JAPANESE, LATIN = "田中_01.mp4", b"caf\xe9.mp4"


def read_terminal(far: int) -> bytes:
    """All that was written to a terminal whose other end is closed; one read may return a part."""
    shown = b""
    with suppress(OSError):  # Linux's end of a terminal
        while part := os.read(far, 1 << 16):
            shown += part
    os.close(far)
    return shown


def shell(command: str, cwd: Path, **more: str) -> subprocess.CompletedProcess:
    """Run a line of shell in which $VA is `va` with the command `crunch`."""
    return subprocess.run(
        ["sh", "-c", command.replace("$VA", f"{sys.executable} {SCRIPT}")],
        cwd=cwd, env=PLACE | more, capture_output=True, stdin=subprocess.DEVNULL, check=False, timeout=100,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ({}, JAPANESE.encode()),
        ({"LC_ALL": "C"}, JAPANESE.encode()),
        ({"PYTHONIOENCODING": "cp1252"}, b"\\u7530\\u4e2d_01.mp4"),
        ({"PYTHONIOENCODING": "ascii:strict"}, b"\\u7530\\u4e2d_01.mp4"),
        ({"PYTHONIOENCODING": "shift_jis"}, JAPANESE.encode("shift_jis")),
    ],
)
def test_every_name_can_be_written_whatever_the_encoding(more, wanted, tmp_path):
    done = shell(f"$VA crunch {JAPANESE} value-{JAPANESE} \"$(printf 'caf\\351.mp4')\"", tmp_path, **more)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [b"header", wanted + b" whole", LATIN + b" whole"]
    assert b"unexpected ValueError" in done.stderr
    assert b"begin caf\\xe9.mp4\n" in done.stderr


def test_messages_and_progress_hold_no_control_characters(capsys):
    console = Console()
    console.warn("\x1b[31mred\x07 \x9b31m two\nlines \u202eback \udce9 ü 字")
    assert capsys.readouterr().err == ("\\x1b[31mred\\x07 \\x9b31m two\\nlines \\u202eback \\xe9 ü 字\n")


def test_a_terminal_gets_no_control_characters_on_stdout_and_a_pipe_all_of_them(monkeypatch):
    for terminal, wanted in ((True, "\\x1b[31m\\t\nx\n"), (False, "\x1b[31m\t\nx\n")):
        out = io.StringIO()
        out.isatty = lambda terminal=terminal: terminal
        monkeypatch.setattr(sys, "stdout", out)
        streams.put("\x1b[31m\t\nx\n")
        assert out.getvalue() == wanted


@pytest.mark.parametrize(
    ("closed", "code", "out", "err"),
    [
        ("<&-", 0, b"header\na whole\n", b"begin a\n1 0 0\n"),
        (">&-", 1, b"", b"va: standard output is closed; name a file with -o\n"),
        ("2>&-", 0, b"header\na whole\n", b""),
        ("-o t <&- >&- 2>&-", 0, b"", b""),
        ("> /dev/full", 1, b"", b"begin a\nva: standard output: No space left on device; send it to"),
        ("2> /dev/full", 0, b"header\na whole\n", b""),
        ("-o /dev/stdout", 0, b"header\na whole\n", b"begin a\n1 0 0\n"),
        ("-o - | cat", 0, b"header\na whole\n", b"begin a\n1 0 0\n"),
    ],
)
def test_closed_and_full_streams_are_reported(closed, code, out, err, tmp_path):
    if "full" in closed and not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here")
    done = shell(f"$VA crunch a {closed}", tmp_path)
    assert (done.returncode, done.stdout) == (code, out)
    assert done.stderr == err or (err.endswith(b"to") and done.stderr.startswith(err))
    if "-o t" in closed:
        assert (tmp_path / "t").read_text() == "header\na whole\n"


def test_a_closed_stdin_has_no_lines(tmp_path):
    done = shell("$VA crunch - <&-", tmp_path)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"va: no input: stdin had no line")


@pytest.fixture
def context():
    with va.make_context("va", ["presets"]) as made:
        yield made


@pytest.mark.parametrize(
    "data",
    [
        b"a b.mp4\n\n\xe7\x94\xb0.mp4",
        b"a b.mp4\r\n\xe7\x94\xb0.mp4\r\n",
        codecs.BOM_UTF8 + b"a b.mp4\n\xe7\x94\xb0.mp4\n",
        "\ufeffa b.mp4\r\n田.mp4\r\n".encode("utf-16-le"),
        "\ufeffa b.mp4\n田.mp4\n".encode("utf-16-be"),
        b"a b.mp4\0\xe7\x94\xb0.mp4\0",
    ],
)
def test_paths_are_read_from_stdin(data, context, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert options.read_inputs(["-"]) == (Path("a b.mp4"), Path("田.mp4"))


def test_names_from_stdin_may_contain_any_byte(context, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"two\nlines\0" + LATIN)))
    assert [os.fsencode(path) for path in options.read_inputs(["-"])] == [b"two\nlines", LATIN]


def test_urls_are_named_as_they_were_typed(tmp_path, capsys):
    assert run(["predict", "https://x//y?a=b"]) == 1
    assert capsys.readouterr().err == "https://x//y?a=b is a URL; download it first\n"
    done = shell("$VA crunch a rtsp://x//y b", tmp_path)
    assert done.returncode == 1
    assert done.stdout == b"header\na whole\nb whole\n"
    assert b"rtsp://x//y is a URL; download it first\n" in done.stderr


SHOWING_A_BAR = """
from vacli.cli.console import Console
from vacli.cli.streams import put
console = Console(rows=True)
with console.task("clip.mp4", 2, "frames") as advance:
    advance(1)
    put("row\\n")
"""
SHOWING_A_VIEW = """
from synth.live_runs import rows_of
from vacli.cli.console import Console
from vacli.cli.streams import put
from vacli.cli.watch import WatchView
view = WatchView("clip.mp4", Console().stderr())
view.write(rows_of([0]))
put("row\\n")
view.close()
"""


@pytest.mark.parametrize("code", [SHOWING_A_BAR, SHOWING_A_VIEW], ids=["bar", "view"])
def test_rows_reach_a_file_while_a_terminal_shows_progress(code, tmp_path):
    pty = pytest.importorskip("pty")
    far, near = pty.openpty()
    paths = os.pathsep.join([PLACE["PYTHONPATH"], str(SCRIPT.parents[1])])
    more = {"PYTHONPATH": paths, "TERM": "xterm", "COLUMNS": "80"}
    with open(tmp_path / "rows.csv", "wb") as file:
        done = subprocess.run(
            [sys.executable, "-c", code], env=PLACE | more, stdout=file, stderr=near, check=False
        )
    os.close(near)
    shown = read_terminal(far)
    assert done.returncode == 0
    assert (tmp_path / "rows.csv").read_text() == "row\n"
    assert b"clip.mp4" in shown
    assert b"row" not in shown


def test_a_terminal_of_another_code_page_shows_progress(tmp_path):
    pty = pytest.importorskip("pty")
    code = (
        "from vacli.cli.console import Console; c = Console()\n"
        "with c.task('田中' * 20 + chr(27), 2, 'frames') as advance: advance(1)\n"
        "c.warn('田中')"
    )
    far, near = pty.openpty()
    more = {"PYTHONIOENCODING": "cp1252", "TERM": "xterm", "COLUMNS": "80"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=PLACE | more, stderr=near, check=False, cwd=tmp_path
    )
    os.close(near)
    shown = read_terminal(far)
    assert done.returncode == 0
    assert b"\\u7530\\u4e2d" in shown


@pytest.mark.parametrize(
    "command",
    [
        "train - -o run",
        "ablate - -o run",
        "crossval - -o run",
        "import-feature openface arrays -",
        "import-labels labels -",
        "finalize -",
        "repack -",
    ],
)
def test_a_command_of_one_store_refuses_several_lines_on_stdin(command, tmp_path, capsys, monkeypatch):
    if command.startswith(("train", "ablate", "crossval")):
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    for name in ("arrays", "labels"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a.zarr\nb.zarr\n")))
    assert run(command.split()) == 2
    line = (
        "va: stdin has 2 lines (a.zarr, ...), but the command takes one store; give one of them at a time\n"
    )
    assert capsys.readouterr().err == line


def test_a_command_of_one_store_takes_one_line_of_stdin(context, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a.zarr\n")))
    assert options.store_or_default("-") == Path("a.zarr")
    assert options.store_or_default(None) == options.default_store()
