"""A warm process that has imported everything and forks once per case: a case costs only its own work.

Standard input gives one JSON object a line (`harness.CommandRequest`), standard output gets one back.
The forked child becomes `va ARGUMENTS` and ends as an ordinary process does: threads are joined, exit
handlers run. Nothing but imports happens in the parent, so the child inherits no thread and no session.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

from faults.kill import kill_at_write

import vacli

POLL_S = 0.01
ADDRESS_LIMIT_BYTES = 24 << 30  # a backstop; the bound is on the resident memory
# onnxruntime starts a thread when it is imported, which a fork does not survive: each child imports it.
NOT_IMPORTED = {"LIGHT": ("onnxruntime", "torch"), "TORCH": ("onnxruntime",)}
LIBRARIES = (
    "numba",
    "opensmile",
    "scipy.signal",
    "scipy.special",
    "skimage.transform",
    "PIL.Image",
    "faults.decode",
)


def serve(kind: str) -> None:
    """Answer jobs until standard input ends. Raises SystemExit in each child, with its exit code."""
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    _import_all(NOT_IMPORTED[kind])
    gc.freeze()
    print(json.dumps({"ready": os.getpid()}), file=answers)
    for line in requests:
        job = json.loads(line)
        sys.stdout.flush()
        pid = os.fork()
        if not pid:
            os.close(requests.fileno())
            os.close(answers.fileno())
            _become(job)
        print(json.dumps(_watch(pid, job)), file=answers)


class _Absent:
    """An import hook for which some packages are not installed."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"no {name} yet", name=name)


def _import_all(but: tuple[str, ...]) -> None:
    """Import the program and its libraries, except what needs one of the packages `but`."""
    hook = _Absent(but)
    sys.meta_path.insert(0, hook)  # type: ignore[arg-type]
    found = pkgutil.walk_packages(vacli.__path__, "vacli.")
    own = [module.name for module in found if not module.name.endswith("__main__")]
    for name in (*LIBRARIES, *own, *(() if "torch" in but else ("timm", "torch.utils.tensorboard"))):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    sys.meta_path.remove(hook)  # type: ignore[arg-type]


def _become(job: dict[str, Any]) -> None:
    """Be the command that the job names; does not return."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (ADDRESS_LIMIT_BYTES, ADDRESS_LIMIT_BYTES))
    os.chdir(job["folder"])
    for number, path in ((0, os.devnull), (1, job["stdout"]), (2, job["stderr"])):
        opened = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.update(job["environment"])
    if job["count_file"]:
        kill_at_write(Path(job["folder"]), job["kill_at_write"], job["count_file"])
    module, name = job["entry"].split(":")
    sys.argv = ["va", *job["arguments"]]
    sys.exit(getattr(importlib.import_module(module), name)(job["arguments"]))


def _watch(pid: int, job: dict[str, Any]) -> dict[str, Any]:
    """Wait for a child, or end it where it is to be killed, hangs, or holds too much."""
    began, peak, why = time.monotonic(), 0, ""
    while True:
        done, status, usage = os.wait4(pid, os.WNOHANG)
        if done:
            break
        elapsed = time.monotonic() - began
        peak = max(peak, _resident_bytes(pid))
        if elapsed > job["time_limit_s"]:
            why = "time"
        elif peak > job["memory_limit_bytes"]:
            why = "memory"
        elif job["kill_after_s"] is not None and elapsed >= job["kill_after_s"]:
            (os.killpg if job["kill_children"] else os.kill)(pid, signal.SIGKILL)
        if why:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            os.kill(pid, signal.SIGKILL)
            _, status, usage = os.wait4(pid, 0)
            break
        time.sleep(POLL_S)
    wall = time.monotonic() - began
    if not job["leave_children"]:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "limit": why,
        "pid": pid,
        "wall_s": wall,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_bytes": max(peak, usage.ru_maxrss * 1024),
    }


def _resident_bytes(pid: int) -> int:
    """Resident memory of a process and of those that it started."""
    total = 0
    with contextlib.suppress(OSError, ValueError, IndexError):
        total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            total += sum(_resident_bytes(int(child)) for child in children.read_text().split())
    return total
