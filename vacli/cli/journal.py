"""Messages of a worker process about its inputs, and the state that its parent keeps of them."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vacli.cli import signals
from vacli.errors import DIED_HINT

if TYPE_CHECKING:
    from vacli.files.atomic import Draft
    from vacli.steps._journal import InputStatus

FAILED = "failed"  # equals steps._journal.FAILED, which the parent does not import


@dataclass
class Ledger:
    """State of all inputs and of the printed messages, over all child processes.

    running: key -> name. outcomes: key -> kind and reason. suspects: keys that ran when a child died.
    printed: message -> count. table_bytes: size of the table with the complete inputs. code: the exit code,
    once a child has finished. stopped: the signal that ended the command.
    """

    running: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, tuple[str, str]] = field(default_factory=dict)
    suspects: set[str] = field(default_factory=set)
    printed: Counter[str] = field(default_factory=Counter)
    has_header: bool = False
    table_bytes: int = 0
    code: int | None = None
    stopped: int | None = None

    def take(self, line: bytes) -> None:
        """Apply one message of a child; a line that its death cut off is ignored."""
        with suppress(ValueError):
            event, *values = json.loads(line)
            if event == "begin":
                self.running[values[0]] = values[1]
            elif event == "end":
                key, kind, reason, self.table_bytes = values
                self.running.pop(key, None)
                self.outcomes[key] = (kind, reason)
            elif event == "printed":
                self.printed[values[0]] += 1
            elif event == "header":
                self.has_header = True
            elif event == "code":
                self.code = values[0]

    def blame(self, why: str) -> bool:
        """Record the death of a child; returns False if no input was running."""
        if len(self.running) == 1:
            (key,) = self.running
            self.outcomes[key] = (FAILED, f"the process that read it died ({why}); {DIED_HINT}")
        self.suspects = set(self.running)
        self.running.clear()
        return bool(self.suspects)


class Child:
    """The worker process: a `steps._journal.Journal` that reports to the parent, if there is one."""

    def __init__(self, ledger: Ledger, pipe: int | None = None, draft: Draft | None = None) -> None:
        self._ledger, self._pipe, self._draft = ledger, pipe, draft
        self._printed_before = Counter(ledger.printed)
        self._lock = threading.Lock()

    @property
    def has_header(self) -> bool:
        """Whether the output table already has its header."""
        return self._ledger.has_header

    def known(self, key: str) -> InputStatus | None:
        """The outcome of an input in an earlier process; None if it was not finished there."""
        from vacli.steps._journal import InputStatus

        outcome = self._ledger.outcomes.get(key)
        return None if outcome is None else InputStatus(*outcome)

    def is_suspect(self, key: str) -> bool:
        """Whether an input was one of several that ran when a process died."""
        return key in self._ledger.suspects

    def check(self) -> None:
        """Raise Stopped if a signal has arrived."""
        signals.check()

    def begin(self, key: str, name: str) -> None:
        """Report that work on an input begins."""
        self._send("begin", key, name)

    def end(self, key: str, outcome: InputStatus) -> None:
        """Report that work on an input has ended."""
        size = os.fstat(self._draft.fd).st_size if self._draft else 0
        self._send("end", key, outcome.kind, outcome.reason, size)

    def is_news(self, message: str) -> bool:
        """Whether no earlier process printed this message."""
        with self._lock:
            if self._printed_before[message] > 0:
                self._printed_before[message] -= 1
                return False
        self._send("printed", message)
        return True

    def wrote(self) -> None:
        """Report that rows were written, with the header before them."""
        if not self._ledger.has_header:
            self._ledger.has_header = True
            self._send("header")

    def leave(self, code: int) -> None:
        """Report the exit code of the command."""
        self._send("code", code)

    def _send(self, *values: str | int) -> None:
        if self._pipe is not None:
            with self._lock, suppress(OSError):  # a parent that is gone is noticed by `_watch`
                os.write(self._pipe, json.dumps(values).encode() + b"\n")
