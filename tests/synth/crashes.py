"""Processes that are killed by SIGKILL at a chosen change of the disk; tests inspect the files they leave.

Every change that Python makes (a file opened for writing, a rename, a folder made or removed) is a point at
which a process can be killed, just before it. A function is run in a fork of a new interpreter, so
that no thread of the test process interferes and the imports are done once.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

CHANGES = {"os.rename", "os.link", "os.mkdir", "os.rmdir", "os.remove", "os.truncate"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
TIMEOUT_S = 300


def crash(function: str, folders: Sequence[Path], points: Sequence[int]) -> list[int | None]:
    """Run "module:function" on each folder, dying at the change of that number.

    Returns for each the number of its changes, None if it was killed.
    """
    asked = {"function": function, "folders": [str(f) for f in folders], "points": list(points)}
    paths = os.pathsep.join(filter(None, [*sys.path]))
    answer = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
    )
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout.splitlines()[-1])


def _die_at(point: int) -> itertools.count:
    seen = itertools.count(1)
    done = itertools.count()

    def hook(event: str, arguments: tuple) -> None:
        if event in CHANGES or (event == "open" and _is_writing(arguments)):
            next(done)
            if next(seen) == point:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return done


def _is_writing(arguments: tuple) -> bool:
    path, _, flags = arguments
    return bool(flags & WRITING) and not str(path).startswith(("/dev/", "/proc/"))


def _fork(function: str, folder: str, point: int) -> int | None:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(2, 1)
        module, name = function.split(":")
        call = getattr(importlib.import_module(module), name)
        done = _die_at(point)
        call(Path(folder))
        os.write(writing, str(next(done)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return None
    if status:
        raise SystemExit(f"point {point}: status {status}")
    return int(told)


def _main() -> None:
    asked = json.load(sys.stdin)
    importlib.import_module(asked["function"].split(":")[0])
    pairs = zip(asked["folders"], asked["points"], strict=True)
    print(json.dumps([_fork(asked["function"], folder, point) for folder, point in pairs]))


if __name__ == "__main__":
    _main()
