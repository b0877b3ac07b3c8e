"""Progress and messages of a step; `cli` displays them, tests and library users may ignore them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Advance = Callable[[float], None]


class Progress(Protocol):
    """Receives progress and messages. Messages are single lines without markup."""

    def task(self, title: str, total: float | None, unit: str) -> AbstractContextManager[Advance]:
        """Open a task of `total` units (None: unknown); call what it yields to advance."""
        ...

    def status(self, message: str) -> None:
        """Report the present state of a task; it replaces the state before, and may be left out in a log."""
        ...

    def info(self, message: str) -> None:
        """Report information."""
        ...

    def warn(self, message: str) -> None:
        """Report a problem that the user should check."""
        ...


class RecordingProgress:
    """Keeps messages and warnings and shows nothing."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.warnings: list[str] = []

    @contextmanager
    def task(self, title: str, total: float | None, unit: str) -> Iterator[Advance]:
        """A task without a display."""
        yield lambda amount: None

    def status(self, message: str) -> None:
        """Keep the state among the messages."""
        self.messages.append(message)

    def info(self, message: str) -> None:
        """Keep a message."""
        self.messages.append(message)

    def warn(self, message: str) -> None:
        """Keep a warning."""
        self.warnings.append(message)


class Numbered:
    """Passes progress on; the titles of tasks begin with a number such as "2/5"."""

    def __init__(self, progress: Progress, number: int, count: int) -> None:
        self._progress, self._number = progress, f"{number}/{count}"

    def task(self, title: str, total: float | None, unit: str) -> AbstractContextManager[Advance]:
        """Open a task whose title begins with the number."""
        return self._progress.task(f"{self._number} {title}", total, unit)

    def status(self, message: str) -> None:
        """Pass the state on."""
        self._progress.status(message)

    def info(self, message: str) -> None:
        """Pass the message on."""
        self._progress.info(message)

    def warn(self, message: str) -> None:
        """Pass the warning on."""
        self._progress.warn(message)


def begin_step(progress: Progress, number: int, count: int, name: str) -> Progress:
    """Report that a step of a command begins; returns the progress of this step."""
    progress.info(f"step {number} of {count}: {name}")
    return Numbered(progress, number, count)
