"""SIGINT, SIGTERM and SIGHUP: all three interrupt a command in the same way."""

from __future__ import annotations

import signal
import time
from types import FrameType

from vacli.runtime.interruption import NUMBERS

REPEAT_S = 1.0  # a child gets a signal from the terminal and again from its parent
_last_s = -REPEAT_S
_received: int | None = None


class Stopped(KeyboardInterrupt):
    """A signal ended the command; `code` is the exit code of a shell: 130, 143 or 129."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.code = 128 + number


def install() -> None:
    """Raise Stopped in the main thread for each signal that is not ignored already, as under `nohup`."""
    global _received
    _received = None
    for number in NUMBERS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def check() -> None:
    """Raise Stopped if a signal has arrived: a library may have caught the one that its handler raised."""
    if _received is not None:
        raise Stopped(_received)


def ignore() -> None:
    """Ignore the signals, because the command has ended."""
    for number in NUMBERS:
        signal.signal(number, signal.SIG_IGN)


def _stop(number: int, frame: FrameType | None) -> None:
    global _last_s, _received
    _received = number
    now_s = time.monotonic()
    if now_s - _last_s >= REPEAT_S:
        _last_s = now_s
        raise Stopped(number)
