"""`va crunch`: a command that acts on each input according to its name, with the rest as in `va predict`.

Run as a script it is `va` with that command. No large package is loaded.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import click

from vacli.cli import options, supervisor
from vacli.cli.console import Console
from vacli.cli.main import main, va
from vacli.cli.report import leave
from vacli.cli.table_target import TableTarget
from vacli.errors import InputError

HERE = threading.Barrier(2)  # two inputs called `pair...` are being worked on at one time


@click.command("crunch")
@options.inputs
@click.option("-o", "--out", type=click.Path(path_type=Path))
@click.option("--workers", type=int, default=1)
def crunch(inputs: tuple[str, ...], out: Path | None, workers: int) -> None:
    paths = options.read_inputs(inputs)
    target = TableTarget(out)
    child = supervisor.split(target.draft)
    console = Console(is_news=child.is_news)
    from vacli.steps._batch import DONE, SKIPPED, Batch, run_each

    with target.opened(console) as put:

        def work(path: Path) -> str:
            console.info(f"begin {path}")
            if not child.has_header:
                put("header\n")
                child.wrote()
            _obey(path.name, put)
            put(f"{path} whole\n")
            return SKIPPED if path.name.startswith("skip") else DONE

        batch = run_each(Batch(Path("out")), paths, str, work, console, workers)
    console.info(f"{len(batch.done)} {len(batch.skipped)} {len(batch.failed)}")
    leave(bool(batch.failed))


def _obey(name: str, put) -> None:
    what = name.split("-")[0]
    if what == "pair" and not os.path.exists(f"{name}.tried"):
        Path(f"{name}.tried").touch()
        HERE.wait(10)
    if what in ("half", "wait"):
        put(f"{name} part\n")
    if what == "wait":
        time.sleep(60)
    if what in ("caught", "spoilt"):
        with suppress(KeyboardInterrupt):
            time.sleep(60)
    if what == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        put("deaf\n")
        time.sleep(60)
    if what in ("segv", "half") or name == "pair-bad":
        signal.raise_signal(signal.SIGSEGV)
    if what == "kill":
        signal.raise_signal(signal.SIGKILL)
    if what == "exit":
        os._exit(3)
    errors = {"value": ValueError("x"), "memory": MemoryError(), "input": InputError("no", hint="do")}
    if what in errors:
        raise errors[what]
    if what == "spoilt":
        raise ValueError("generator already executing")
    if what == "deep":
        _obey(name, put)


@click.command("early")
def early() -> None:
    supervisor.split()
    os.kill(os.getpid(), signal.SIGKILL)


va.add_command(crunch)
va.add_command(early)
if __name__ == "__main__":
    main(sys.argv[1:])
