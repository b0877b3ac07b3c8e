"""Tables on a terminal of 80 columns, in pages or side by side, and in a pipe."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from synth.clips import Clip, steady, write_clip

from vacli.cli import inspection

TOP = Path(__file__).parents[2]
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
CODE = "import sys; from vacli.cli.main import run; sys.exit(run(sys.argv[1:]))"


def on_terminal(*arguments: str, columns: int = 80) -> list[str]:
    """The lines that a command prints on a terminal."""
    far, near = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(TOP), "TERM": "xterm", "COLUMNS": str(columns)}
    with subprocess.Popen([sys.executable, "-c", CODE, *arguments], env=environment, stdout=near) as process:
        os.close(near)
        shown = b""
        try:
            while part := os.read(far, 1 << 16):
                shown += part
        except OSError:  # the other end is closed
            pass
        os.close(far)
    assert process.returncode == 0
    return [line.rstrip() for line in ESCAPES.sub("", shown.decode()).splitlines()]


@pytest.mark.parametrize("command", ["presets", "weights"])
def test_tables_fit_the_terminal_in_pages_of_columns(command):
    lines = on_terminal(command)
    assert max(map(len, lines)) <= 80
    first = "preset" if command == "presets" else "name"
    assert sum(line.split()[:1] == [first] for line in lines) > 1


def test_all_columns_are_side_by_side_with_wide():
    lines = on_terminal("presets", "--wide")
    (header,) = [line for line in lines if line.split()[:1] == ["preset"]]
    assert header.split() == ["preset", "parameters", "description", "source"]
    (row,) = [line for line in lines if line.split()[:1] == ["bdca"]]
    assert "post-norm layers tend to diverge" in row


def test_a_wide_terminal_needs_no_pages():
    lines = on_terminal("presets", columns=400)
    assert sum(line.split()[:1] == ["preset"] for line in lines) == 1


def test_the_plan_of_a_dry_run_has_no_escaped_tab_on_a_terminal(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", Clip(times_s=steady(25, 0.2)))
    lines = on_terminal("align", str(clip), "-o", str(tmp_path / "s.zarr"), "--dry-run", columns=400)
    assert f"{clip}: align" in lines


def test_long_results_of_the_doctor_are_wrapped_between_words(monkeypatch, capsys):
    monkeypatch.setattr(inspection, "terminal_width", lambda wide: 30)
    inspection._put_wrapped("ok       packages: click 8.5.1, matplotlib 3.11.2")
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["ok       packages: click", "         8.5.1, matplotlib", "         3.11.2"]
