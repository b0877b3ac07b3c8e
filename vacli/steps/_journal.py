"""The journal of a step: when its inputs begin and end, for a process that continues after a crash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

DONE, SKIPPED, FAILED = "done", "skipped", "failed"


@dataclass(frozen=True)
class InputStatus:
    """The status of a processed input: DONE, SKIPPED, or FAILED with a reason in one line."""

    kind: str
    reason: str = ""


class Journal(Protocol):
    """Records when an input begins and ends; it may hold the status from an earlier process that died."""

    def known(self, key: str) -> InputStatus | None:
        """The recorded status of an input, None if there is none."""
        ...

    def is_suspect(self, key: str) -> bool:
        """Whether an input must be processed while no other input is."""
        ...

    def check(self) -> None:
        """Raise KeyboardInterrupt if the user has stopped the command."""
        ...

    def begin(self, key: str, name: str) -> None:
        """Record that an input begins."""
        ...

    def end(self, key: str, status: InputStatus) -> None:
        """Record that an input has ended."""
        ...


class NoJournal:
    """A journal that records nothing."""

    def known(self, key: str) -> InputStatus | None:
        return None

    def is_suspect(self, key: str) -> bool:
        return False

    def check(self) -> None:
        pass

    def begin(self, key: str, name: str) -> None:
        pass

    def end(self, key: str, status: InputStatus) -> None:
        pass


_journal: Journal = NoJournal()


def keep_journal(journal: Journal) -> None:
    """Use `journal` for all later inputs; only for a process that runs a single command."""
    global _journal
    _journal = journal


def current() -> Journal:
    """The journal of this process."""
    return _journal
