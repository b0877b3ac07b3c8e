"""SIGINT, SIGTERM and SIGHUP: all three interrupt a command in the same way."""

from __future__ import annotations

import signal
import time
from types import FrameType

NUMBERS = tuple(getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n))
REPEAT_S = 1.0  # a terminal tells all processes and the parent process tells its child once more
_last_s = -REPEAT_S


class Stopped(KeyboardInterrupt):
    """Somebody ended the command; `code` is what a shell calls it: 130, 143 or 129."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.code = 128 + number


def install() -> None:
    """Raise Stopped in the main thread where a signal comes that is not ignored, as `nohup` does."""
    for number in NUMBERS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def ignore() -> None:
    """Take no notice of them: the command is over."""
    for number in NUMBERS:
        signal.signal(number, signal.SIG_IGN)


def _stop(number: int, frame: FrameType | None) -> None:
    global _last_s
    now_s = time.monotonic()
    if now_s - _last_s >= REPEAT_S:
        _last_s = now_s
        raise Stopped(number)
