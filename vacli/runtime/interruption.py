"""Signals that wait until a piece of work is done."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

NUMBERS = tuple(getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n))
PATIENCE_S = 1.0  # a second signal after this time is not postponed: the work may hang


@contextmanager
def postponed() -> Iterator[None]:
    """Call the handlers of signals after the block, so that an interruption leaves no half of it.

    It has no effect in other threads than the main one, which get no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in NUMBERS}
    received: list[tuple[int, float]] = []

    def call(number: int, frame: FrameType | None) -> None:
        handler = handlers[number]
        assert callable(handler)
        handler(number, frame)

    def note(number: int, frame: FrameType | None) -> None:
        if received and time.monotonic() - received[0][1] >= PATIENCE_S:
            call(number, frame)
        received.append((number, time.monotonic()))

    for number, handler in handlers.items():
        if callable(handler):
            signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            if callable(handler):
                signal.signal(number, handler)
    if received:
        call(received[0][0], None)
