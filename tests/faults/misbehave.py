"""A command that breaks each bound on purpose, to see that the harness notices."""

from __future__ import annotations

import os
import time
from pathlib import Path


def main(arguments: list[str]) -> None:
    """Do what the first argument says."""
    {"sleep": _sleep, "grow": _grow, "abort": os.abort, "write": _write}[arguments[0]]()


def _sleep() -> None:
    time.sleep(30)


def _grow() -> None:
    held = [bytearray(1 << 20)]
    while len(held) < 2000:
        held.append(bytearray(b"x" * (1 << 20)))


def _write() -> None:
    for number in range(5):
        Path(f"{number}.txt").write_text("whole")
    if not os.fork():
        Path("child.txt").write_text("whole")
        os._exit(0)
    os.wait()
