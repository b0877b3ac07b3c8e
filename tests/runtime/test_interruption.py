"""A signal during a piece of work ends it after the piece."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from vacli.runtime import interruption
from vacli.runtime.interruption import postponed

pytestmark = pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signals of POSIX")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_handled_after_the_block(number, monkeypatch):
    handled, done = [], []

    def handler(received, frame):
        handled.append((received, list(done)))

    before = signal.signal(number, handler)
    try:
        with postponed():
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)  # the terminal and the parent send the same one
            done.append("work")
        assert handled == [(number, ["work"])]
        assert signal.getsignal(number) is handler
    finally:
        signal.signal(number, before)


def test_a_later_second_signal_is_handled_at_once(monkeypatch):
    monkeypatch.setattr(interruption, "PATIENCE_S", 0.0)
    with pytest.raises(KeyboardInterrupt), postponed():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_ignored_signals_stay_ignored():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with postponed():
            os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_other_threads_are_not_concerned():
    done: list[bool] = []

    def work() -> None:
        with postponed():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
