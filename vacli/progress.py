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

    def info(self, message: str) -> None:
        """Keep a message."""
        self.messages.append(message)

    def warn(self, message: str) -> None:
        """Keep a warning."""
        self.warnings.append(message)
