"""The tasks that are in progress: their counts, and the time left of each."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

COUNTED = ("inputs", "folds", "epochs", "rows")  # units whose single items have tasks of their own
SETTLED_S = 2.0  # before it, neither a speed nor a time left is shown


@dataclass(eq=False)
class OpenTask:
    """A task: `count` of `total` units are done. note: a short text about it, shown beside it.

    parent: the task of which this one is an item, None for an outermost one.
    """

    title: str
    total: float | None
    unit: str
    parent: OpenTask | None
    start_s: float = field(default_factory=lambda: time.monotonic())
    count: float = 0.0
    note: str = ""
    first_s: float | None = None  # the time of the first advance; the start-up is before it
    first_count: float = 0.0  # the count after it

    def advance(self, amount: float) -> None:
        """Add to the count."""
        self.count += amount
        if self.first_s is None:
            self.first_s, self.first_count = time.monotonic(), self.count

    @property
    def rate(self) -> float | None:
        """Units per second since the first advance; None if too little time has passed."""
        if self.first_s is None or time.monotonic() - self.first_s < SETTLED_S:
            return None
        return (self.count - self.first_count) / (time.monotonic() - self.first_s)

    @property
    def is_counted(self) -> bool:
        """Whether its items have tasks of their own."""
        return self.unit in COUNTED


class OpenTasks:
    """All tasks in progress, outermost first. Several threads may open and advance tasks."""

    def __init__(self) -> None:
        self._tasks: list[OpenTask] = []
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._tasks)

    def open(self, title: str, total: float | None, unit: str) -> OpenTask:
        """Add a task; it is an item of the innermost counted one."""
        with self._lock:
            task = OpenTask(title, total, unit, self._innermost())
            self._tasks.append(task)
        return task

    def close(self, task: OpenTask) -> None:
        """Remove a task."""
        with self._lock:
            self._tasks.remove(task)

    def innermost_counted(self) -> OpenTask | None:
        """The last opened task whose items have tasks of their own."""
        with self._lock:
            return self._innermost()

    def fraction(self, task: OpenTask) -> float | None:
        """The fraction of a task that is done, with the parts of its items in progress; None if unknown."""
        if not task.total:
            return None
        with self._lock:
            items = [other for other in self._tasks if other.parent is task]
        partial = sum(self.fraction(item) or 0.0 for item in items) if task.is_counted else 0.0
        return min((task.count + min(partial, task.total - task.count)) / task.total, 1.0)

    def left_s(self, task: OpenTask) -> float | None:
        """The time left at the speed so far; None if unknown."""
        if not task.is_counted:
            return (task.total - task.count) / task.rate if task.total and task.rate else None
        elapsed_s, fraction = time.monotonic() - task.start_s, self.fraction(task)
        if not fraction or elapsed_s < SETTLED_S:
            return None
        return elapsed_s * (1 - fraction) / fraction

    def count_text(self, task: OpenTask) -> str:
        """Such as "12 of 30 inputs" with the one in progress, or "33.4 frames/s"."""
        if not task.is_counted:
            return f"{task.rate:.3g} {task.unit}/s" if task.rate else ""
        with self._lock:
            has_item = any(other.parent is task for other in self._tasks)
        number = task.count + (1 if has_item and task.total and task.count < task.total else 0)
        return f"{number:g} of {task.total:g} {task.unit}" if task.total else f"{number:g} {task.unit}"

    def line(self, task: OpenTask) -> str:
        """A task and those that it is an item of, in one line for a log."""
        parts = []
        if not task.is_counted:
            of = f" of {task.total:g}" if task.total else ""
            parts.append(f"{task.count:g}{of} {task.unit}")
        parts += [self.count_text(task), task.note, left_text(self.left_s(task))]
        outer, lines = task.parent, [f"{task.title}: {', '.join(filter(None, parts))}"]
        while outer is not None:
            texts = (self.count_text(outer), left_text(self.left_s(outer)))
            lines.append(f"{outer.title}: {', '.join(filter(None, texts))}")
            outer = outer.parent
        return "; ".join(lines)

    def _innermost(self) -> OpenTask | None:
        return next((task for task in reversed(self._tasks) if task.is_counted), None)


def left_text(seconds: float | None) -> str:
    """A time left, such as "45 s left", "12 min left" or "2 h 5 min left"; "" if unknown."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.0f} s left"
    minutes = round(seconds / 60)
    return f"{minutes} min left" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min left"
