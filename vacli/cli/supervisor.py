"""A command over many inputs runs in a child process, so that a crash fails one input and not the run.

The parent imports no large library. The child reports through a pipe which inputs it begins and ends. If the
child dies, the input that it was processing has failed, and a new child continues with the remaining inputs.
If it was processing several, the new child takes these one at a time first, to find the cause. Without fork
(Windows) the command runs in the process in which it was started.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from vacli.cli import signals
from vacli.cli.journal import Child, Ledger
from vacli.cli.streams import printable
from vacli.errors import VaError
from vacli.runtime.interruption import NUMBERS

if TYPE_CHECKING:
    from types import FrameType

    from vacli.files.atomic import Draft

GRACE_S = 10  # until a child that was asked to stop is killed


@dataclass(frozen=True)
class _Forked:
    """The parent's handle of a child: process id, pipe of messages, pipe that the child watches."""

    pid: int
    messages: int
    held: int


_this: Child | None = None


def split(draft: Draft | None = None) -> Child:
    """Continue in a child process; the parent does not return. Call it before large libraries are imported.

    draft: the output table; it is created before the fork, so that all children write the same file, and
    truncated to the rows of complete inputs after the death of a child.
    """
    if not click.get_current_context().find_root().obj.get("supervised") or not hasattr(os, "fork"):
        return Child(Ledger())
    ledger = Ledger()
    try:
        if draft is not None:
            draft.create()
        while True:
            made = _fork(ledger, draft)
            if isinstance(made, Child):
                from vacli.steps._journal import keep_journal

                keep_journal(made)
                return made
            settled = len(ledger.outcomes)
            why = _why(_follow(made, ledger))
            if ledger.code is not None:
                raise click.exceptions.Exit(ledger.code)
            if ledger.stopped is not None:
                raise signals.Stopped(ledger.stopped)
            if not ledger.blame(why) and len(ledger.outcomes) == settled:
                raise VaError(f"the worker process died ({why}) between two inputs")
            _cut_back(draft, ledger)
    except click.exceptions.Exit:
        raise
    except BaseException:
        if draft is not None and (kept := draft.keep()):
            print(f"va: {printable(str(kept))} has the rows so far", file=sys.stderr)
        raise


def leave(code: int) -> None:
    """Report the exit code to the parent process, if this is a child."""
    if _this is not None:
        signals.ignore()
        _this.leave(code)


def _fork(ledger: Ledger, draft: Draft | None) -> Child | _Forked:
    """Fork; returns a Child in the child and a _Forked in the parent, where signals stay blocked."""
    global _this
    messages, send = os.pipe()
    alive, held = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, NUMBERS)
    pid = os.fork()
    if pid:
        os.close(send)
        os.close(alive)
        return _Forked(pid, messages, held)
    os.close(messages)
    os.close(held)
    _this = Child(ledger, send, draft)
    signals.install()
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    threading.Thread(target=_watch, args=(alive,), daemon=True).start()
    return _this


def _watch(alive: int) -> None:
    """Stop this process when the other end of a pipe closes, because its parent has exited."""
    os.read(alive, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(128 + signal.SIGTERM)


def _follow(child: _Forked, ledger: Ledger) -> int:
    """Apply a child's messages until it exits; returns its exit code, negative for a signal."""
    with _forwarded_signals(child.pid, ledger), os.fdopen(child.messages, "rb") as lines:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, NUMBERS)
        for line in lines:
            ledger.take(line)
        _, status = os.waitpid(child.pid, 0)
    os.close(child.held)
    return os.waitstatus_to_exitcode(status)


@contextmanager
def _forwarded_signals(pid: int, ledger: Ledger) -> Iterator[None]:
    """Forward signals to a child, and kill it if it does not stop within GRACE_S."""

    def forward(number: int, frame: FrameType | None) -> None:
        ledger.stopped = number
        if number != signal.SIGINT:  # after SIGINT the user can press the keys again
            signal.alarm(GRACE_S)
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    def end(number: int, frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    before = {n: signal.getsignal(n) for n in (*NUMBERS, signal.SIGALRM)}
    for number in NUMBERS:
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, forward)
    signal.signal(signal.SIGALRM, end)
    try:
        yield
    finally:
        signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _why(status: int) -> str:
    if status >= 0:
        return f"it exited with code {status}"
    name = (signal.strsignal(-status) or "unknown").split(":")[0].lower()
    hint = ", as the system does where memory runs out" if -status == signal.SIGKILL else ""
    return f"signal {-status}, {name}{hint}"


def _cut_back(draft: Draft | None, ledger: Ledger) -> None:
    """Truncate a table to the rows of complete inputs."""
    if draft is not None:
        os.ftruncate(draft.fd, ledger.table_bytes)
        os.lseek(draft.fd, ledger.table_bytes, os.SEEK_SET)
        ledger.has_header = ledger.table_bytes > 0
