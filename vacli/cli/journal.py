"""What a working process tells its parent of the inputs, and what the parent makes of it."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vacli.files.atomic import Draft
    from vacli.steps._batch import Outcome

FAILED = "failed"  # as `steps.batch` has it, which the parent does not load
HINT = "it may be damaged, or too large for the memory; the rest goes on without it"


@dataclass
class Ledger:
    """What is known of all inputs and of what was printed, over all children.

    running: key -> name; outcomes: key -> kind and reason; table_bytes: the size of the table with what was
    complete; code: the exit code, once a child has come to its end; stopped: the signal that ended it all.
    """

    running: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, tuple[str, str]] = field(default_factory=dict)
    suspects: set[str] = field(default_factory=set)
    said: Counter[str] = field(default_factory=Counter)
    has_header: bool = False
    table_bytes: int = 0
    code: int | None = None
    stopped: int | None = None

    def take(self, line: bytes) -> None:
        """Note a message of a child; a line that was cut off by its death is left out."""
        with suppress(ValueError):
            what, *values = json.loads(line)
            if what == "begin":
                self.running[values[0]] = values[1]
            elif what == "end":
                key, kind, reason, self.table_bytes = values
                self.running.pop(key, None)
                self.outcomes[key] = (kind, reason)
            elif what == "said":
                self.said[values[0]] += 1
            elif what == "header":
                self.has_header = True
            elif what == "code":
                self.code = values[0]

    def blame(self, why: str) -> bool:
        """Note that a child has died; False where no input can have been the cause."""
        if len(self.running) == 1:
            (key,) = self.running
            self.outcomes[key] = (FAILED, f"the process that read it died ({why}); {HINT}")
        self.suspects = set(self.running)
        self.running.clear()
        return bool(self.suspects)


class Child:
    """The working process: a journal (`steps.batch.Journal`) that tells the parent, if there is one."""

    def __init__(self, ledger: Ledger, pipe: int | None = None, draft: Draft | None = None) -> None:
        self._ledger, self._pipe, self._draft = ledger, pipe, draft
        self._said_before = Counter(ledger.said)
        self._lock = threading.Lock()

    @property
    def has_header(self) -> bool:
        """Whether the table that is written to has its header already."""
        return self._ledger.has_header

    def known(self, key: str) -> Outcome | None:
        """What became of an input in a process that died later, or that it died of."""
        from vacli.steps._batch import Outcome

        outcome = self._ledger.outcomes.get(key)
        return None if outcome is None else Outcome(*outcome)

    def is_suspect(self, key: str) -> bool:
        """Whether an input was being worked on when a process died, among others."""
        return key in self._ledger.suspects

    def begin(self, key: str, name: str) -> None:
        """Work on an input begins."""
        self._send("begin", key, name)

    def end(self, key: str, outcome: Outcome) -> None:
        """Work on an input has ended."""
        size = os.fstat(self._draft.fd).st_size if self._draft else 0
        self._send("end", key, outcome.kind, outcome.reason, size)

    def is_news(self, message: str) -> bool:
        """Whether a message was not printed by a process before."""
        with self._lock:
            if self._said_before[message] > 0:
                self._said_before[message] -= 1
                return False
        self._send("said", message)
        return True

    def wrote(self) -> None:
        """A table was written, with its header."""
        if not self._ledger.has_header:
            self._ledger.has_header = True
            self._send("header")

    def leave(self, code: int) -> None:
        """The command has come to its end."""
        self._send("code", code)

    def _send(self, *values: str | int) -> None:
        if self._pipe is not None:
            with self._lock, suppress(OSError):  # a parent that is gone is noticed by `_watch`
                os.write(self._pipe, json.dumps(values).encode() + b"\n")
