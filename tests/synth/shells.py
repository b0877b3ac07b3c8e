"""Interactive shells: a test types a line, presses Tab and then Return."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

TOP = Path(__file__).parents[2]
PATIENCE_S = 90.0
PROMPT = "READY-TO-TYPE>"

# `va` as the shells find it: it completes as the program does, and otherwise notes what it was called with.
VA = """#!{python}
import json, os, sys
if "_VA_COMPLETE" in os.environ:
    sys.argv[0] = "va"
    from vacli.cli.main import main
    main()
with open({noted!r}, "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
"""

SETUP = {
    "bash": (f"PS1='{PROMPT}'", "bind 'set bell-style none'", "bind 'set enable-bracketed-paste off'"),
    "zsh": (f"PROMPT='{PROMPT}'", "unsetopt beep", "autoload -U compinit", "compinit -u -D"),
}
SCRIPTS = {"bash": "va.bash", "zsh": "_va", "fish": "va.fish"}


class Shell:
    """An interactive bash or zsh in `folder`, its home, with the completion loaded."""

    def __init__(self, kind: str, folder: Path) -> None:
        self._noted = folder / ".noted"
        environment = prepare(kind, folder, self._noted)
        rc = folder / (".zshrc" if kind == "zsh" else ".bashrc")
        script = TOP / "completions" / SCRIPTS[kind]
        rc.write_text("\n".join([*SETUP[kind], f"source '{script}'", ""]))
        options = ["-d"] if kind == "zsh" else ["--noprofile", "--rcfile", str(rc)]
        self._terminal, other = pty.openpty()
        self._process = subprocess.Popen(
            [kind, *options, "-i"],
            stdin=other,
            stdout=other,
            stderr=other,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        os.close(other)
        self.shown = ""
        self._wait(lambda: PROMPT in self.shown)

    def complete(self, line: str, echo: str) -> list[str]:
        """Type a line, Tab, wait until the shell shows `echo`, Return: the arguments that `va` was given."""
        known = len(self._calls())
        self.shown = ""
        os.write(self._terminal, f"{line}\t".encode())
        self._wait(lambda: echo in self.shown.replace(line, "", 1))
        os.write(self._terminal, b"\n")
        self._wait(lambda: len(self._calls()) > known)
        self._wait(lambda: self.shown.endswith(PROMPT) or PROMPT in self.shown.rpartition("\n")[2])
        return self._calls()[-1]

    def close(self) -> None:
        """Exit the shell."""
        os.close(self._terminal)
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:  # an interactive shell may ignore it
            self._process.kill()
            self._process.wait()

    def _calls(self) -> list[list[str]]:
        return [json.loads(line) for line in self._noted.read_text().splitlines()]

    def _wait(self, done) -> None:
        end = time.monotonic() + PATIENCE_S
        while not done():
            ready, _, _ = select.select([self._terminal], [], [], 0.05)
            if ready:
                self.shown += os.read(self._terminal, 65536).decode(errors="replace")
            elif time.monotonic() > end:
                raise AssertionError(f"waited {PATIENCE_S:g} s in vain; the terminal shows {self.shown!r}")


def prepare(kind: str, folder: Path, noted: Path) -> dict[str, str]:
    """Install `va` for a shell in `folder`; returns the environment of the shell."""
    noted.write_text("")
    programs = folder / ".bin"
    programs.mkdir(exist_ok=True)
    (programs / "va").write_text(VA.format(python=sys.executable, noted=str(noted)))
    (programs / "va").chmod(0o755)
    return {
        "HOME": str(folder),
        "ZDOTDIR": str(folder),
        "XDG_CONFIG_HOME": str(folder / ".config"),
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(TOP),
        "TERM": "dumb",
        "LANG": "C.UTF-8",
        "COLUMNS": "200",
    }


def offered_by_fish(lines: Sequence[str], folder: Path) -> list[list[str]]:
    """The completions of fish at the end of each line."""
    environment = prepare("fish", folder, folder / ".noted")
    commands = "; ".join(f"complete -C '{line}'; echo {PROMPT!r}" for line in lines)
    run = subprocess.run(
        [
            shutil.which("fish"),
            "--no-config",
            "-c",
            f"source {TOP / 'completions' / SCRIPTS['fish']}; {commands}",
        ],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    parts = run.stdout.split(f"{PROMPT}\n")[: len(lines)]
    return [[entry.partition("\t")[0] for entry in part.splitlines()] for part in parts]
