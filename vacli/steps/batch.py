"""Many inputs, one after another: what was done, what was complete already, what failed and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from vacli.errors import VaError
from vacli.progress import Progress

Item = TypeVar("Item")

DONE, SKIPPED = "done", "skipped"


@dataclass(frozen=True)
class Failure:
    """An input that could not be processed, and the reason in one line."""

    name: str
    reason: str


@dataclass
class Batch:
    """Result of a step over many inputs; `out` is what the next step reads."""

    out: Path
    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)

    def fail(self, name: str, error: VaError, progress: Progress) -> None:
        """Note a failure and tell it at once."""
        reason = error.one_line()
        self.failed.append(Failure(name, reason))
        progress.warn(reason if reason.startswith(name) else f"{name}: {reason}")


def run_each(
    batch: Batch,
    items: Iterable[Item],
    name: Callable[[Item], str],
    work: Callable[[Item], str],
    progress: Progress,
) -> Batch:
    """Call `work` on every item; a VaError is noted and the rest goes on. `work` returns DONE or SKIPPED."""
    for item in items:
        try:
            outcome = work(item)
        except VaError as error:
            batch.fail(name(item), error, progress)
        else:
            (batch.done if outcome == DONE else batch.skipped).append(name(item))
    return batch
