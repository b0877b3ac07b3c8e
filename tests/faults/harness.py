"""Running `va` under limits of time and memory in forks of a warm process (`server`)."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import vacli

TIME_LIMIT_S = 60.0
MEMORY_LIMIT_BYTES = 2 << 30
VA = "vacli.cli.main:main"
# zarr's own, on a busy machine, after the command is through
AT_EXIT = re.compile(r"^(Thread did not finish cleanly|Exception in thread zarr_io)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class CommandRequest:
    """A command, where it runs and when it is to be killed.

    entry: MODULE:FUNCTION that takes the arguments. kill_at_write: see `kill.kill_at_write`.
    kill_children: with the process that was started, those that it started. leave_children: processes that
    outlive the command are not ended (`CommandOutcome.end_children` does so).
    """

    arguments: tuple[str, ...]
    folder: str
    stdout: str
    stderr: str
    entry: str = VA
    environment: dict[str, str] = field(default_factory=dict)
    time_limit_s: float = TIME_LIMIT_S
    memory_limit_bytes: int = MEMORY_LIMIT_BYTES
    kill_after_s: float | None = None
    kill_at_write: int | None = None
    kill_children: bool = True
    count_file: str | None = None
    leave_children: bool = False


@dataclass(frozen=True, kw_only=True)
class CommandOutcome:
    """How a command ended. code: exit code, or minus the signal; limit: "time", "memory" or ""."""

    code: int
    limit: str
    pid: int
    wall_s: float
    cpu_s: float
    peak_bytes: int
    stdout: str
    stderr: str
    changes: int = 0

    def end_children(self) -> None:
        """Kill what the command started and left behind."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    @property
    def breach(self) -> str:
        """Which bound was broken: "hang", "memory", "crash", or "" for an orderly end."""
        if self.limit:
            return {"time": "hang", "memory": "memory"}[self.limit]
        return "crash" if self.code < 0 else ""


class Server:
    """The warm process; started when it is first needed."""

    def __init__(self, scratch: Path, torch: bool = False) -> None:
        self._scratch, self._kind = scratch, "TORCH" if torch else "LIGHT"
        self._process: subprocess.Popen[str] | None = None
        self._number = 0

    def run(self, arguments: Sequence[str | Path], folder: Path, **options: object) -> CommandOutcome:
        """Run `va` with arguments in a folder; `options` are fields of `CommandRequest`."""
        self._number += 1
        out, err, count = (str(self._scratch / f"{self._kind}-{name}") for name in ("out", "err", "count"))
        for name in (out, err, count):  # they are there even if the command is killed before it opens them
            Path(name).write_bytes(b"")
        job = CommandRequest(
            arguments=tuple(map(os.fspath, arguments)),
            folder=str(folder),
            stdout=out,
            stderr=err,
            **{"count_file": count, **options},  # type: ignore[arg-type]
        )
        answer = self._ask(json.dumps(asdict(job)))
        counted = Path(count).stat().st_size
        texts = {"stdout": _text(out), "stderr": AT_EXIT.split(_text(err))[0]}
        return CommandOutcome(**answer, **texts, changes=counted)

    def close(self) -> None:
        """End the process."""
        if self._process:
            self._process.communicate(timeout=30)
            self._process = None

    def _ask(self, line: str) -> dict[str, object]:
        process = self._process or self._start()
        print(line, file=process.stdin, flush=True)
        answer = process.stdout.readline()
        if not answer:
            self._process = None
            raise RuntimeError(f"the fault server died with {process.wait()} at {line}")
        return json.loads(answer)

    def _start(self) -> subprocess.Popen[str]:
        roots = (Path(vacli.__file__).parents[1], Path(__file__).parents[1])
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([*map(str, roots), *filter(None, [os.environ.get("PYTHONPATH")])]),
            **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
            "VA_STORE": "",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"from faults import server; server.serve({self._kind!r})"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        if "ready" not in json.loads(self._process.stdout.readline() or "{}"):
            raise RuntimeError("the fault server does not start")
        return self._process


def _text(path: str) -> str:
    return Path(path).read_bytes().decode(errors="replace")
