"""Run a step over many inputs, in sequence or in threads, and record which were done, skipped or failed.

A failed input is reported with its reason, and the others are processed. The run stops if a result cannot be
written (OutputError, a full disk, a closed pipe) or if the user interrupts it.
"""

from __future__ import annotations

import itertools
import logging
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from vacli.errors import OutputError, VaError
from vacli.files import disk_space
from vacli.progress import Advance, Progress

Item = TypeVar("Item")
Found = TypeVar("Found")

DONE, SKIPPED, FAILED = "done", "skipped", "failed"
log = logging.getLogger("vacli")  # receives the tracebacks of failed inputs at level DEBUG


@dataclass(frozen=True)
class Failure:
    """An input that could not be processed, and the reason in one line."""

    name: str
    reason: str


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

    def begin(self, key: str, name: str) -> None:
        pass

    def end(self, key: str, status: InputStatus) -> None:
        pass


_journal: Journal = NoJournal()
_rounds = itertools.count()


def keep_journal(journal: Journal) -> None:
    """Use `journal` for all later inputs; only for a process that runs a single command."""
    global _journal
    _journal = journal


@dataclass
class Batch:
    """Result of a step over many inputs; `out` is the path that the next step reads."""

    out: Path
    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)

    def fail(self, name: str, error: Exception, progress: Progress) -> None:
        """Record a failed input and show a warning."""
        self.record(name, InputStatus(FAILED, reason_of(error)), progress)

    def record(self, name: str, status: InputStatus, progress: Progress) -> None:
        """Record the status of an input; a failure is also shown as a warning."""
        if status.kind != FAILED:
            (self.done if status.kind == DONE else self.skipped).append(name)
            return
        reason = status.reason
        self.failed.append(Failure(name, reason))
        progress.warn(reason if reason.startswith(name) else f"{name}: {reason}")


def run_each(
    batch: Batch,
    items: Iterable[Item],
    name: Callable[[Item], str],
    work: Callable[[Item], str],
    progress: Progress,
    workers: int = 1,
) -> Batch:
    """Call `work`, which returns DONE or SKIPPED, on every item, `workers` of them at a time in threads.

    If `work` raises for an item, the item is recorded as failed and the others are processed. Items are
    recorded in their order. Raises OutputError if results cannot be written.
    """
    keyed = list(_keyed(items, name))

    with _counted(len(keyed), progress) as advance:

        def attempt(entry: tuple[str, Item]) -> InputStatus:
            key, item = entry
            status = _attempt(key, name(item), lambda: work(item), batch.out)
            advance(1)
            return status

        for (_, item), status in zip(keyed, _in_order(attempt, keyed, workers), strict=True):
            batch.record(name(item), status, progress)
    return batch


def _counted(count: int, progress: Progress) -> AbstractContextManager[Advance]:
    """The task of all inputs; nothing for a single one, which has a task of its own."""
    if count < 2:
        return nullcontext(lambda amount: None)
    return progress.task("total", count, "inputs")


def find_each(
    paths: Iterable[Path], find: Callable[[Path], Sequence[Found]], batch: Batch, progress: Progress
) -> Iterator[Found]:
    """Yield the results of `find` for each path in order; a path is recorded as failed if `find` raises."""
    for key, path in _keyed(paths, str):
        found: list[Found] = []

        def collect(path: Path = path, found: list[Found] = found) -> str:
            found += find(path)
            return DONE

        status = _attempt(key, str(path), collect, batch.out, again=True)
        if status.kind == FAILED:
            batch.record(str(path), status, progress)
        yield from found


def reason_of(error: Exception) -> str:
    """The reason of a failure and what to do next, in one line."""
    if isinstance(error, VaError):
        return error.one_line()
    if isinstance(error, MemoryError):
        detail = f"MemoryError: {error}" if str(error) else "MemoryError"
        text = f"not enough memory ({detail}); free memory, or split the input into shorter parts"
    elif isinstance(error, OSError) and error.strerror:
        prefix = f"{error.filename}: " if error.filename else ""
        text = f"{prefix}{error.strerror}; check that the file exists and is readable"
    else:
        kind = f"unexpected {type(error).__name__}: {error}"
        text = f"{kind}; run this input alone with --traceback and report it"
    return " ".join(text.split())


def _attempt(key: str, name: str, work: Callable[[], str], out: Path, again: bool = False) -> InputStatus:
    """Do the work and record it; `again`: repeat work that an earlier process completed."""
    known = _journal.known(key)
    if known is not None and not (again and known.kind != FAILED):
        return known
    _journal.begin(key, name)
    try:
        status = InputStatus(work())
    except OutputError:
        raise
    except Exception as error:
        log.debug("%s", name, exc_info=error)
        if disk_space.is_disk_full(error):
            raise _full(error, out) from error
        status = InputStatus(FAILED, reason_of(error))
    _journal.end(key, status)
    return status


def _in_order(
    attempt: Callable[[tuple[str, Item]], InputStatus], keyed: list[tuple[str, Item]], workers: int
) -> Iterator[InputStatus]:
    if workers == 1:
        yield from map(attempt, keyed)
        return
    serial = {key: attempt((key, item)) for key, item in keyed if _journal.is_suspect(key)}
    pool = ThreadPoolExecutor(workers)
    try:
        running = {entry[0]: pool.submit(attempt, entry) for entry in keyed if entry[0] not in serial}
        for key, _ in keyed:
            yield serial[key] if key in serial else running[key].result()
    finally:
        pool.shutdown(cancel_futures=True)


def _keyed(items: Iterable[Item], name: Callable[[Item], str]) -> Iterator[tuple[str, Item]]:
    """Yield each item with a key that is the same in every process that runs the same command."""
    number, times = next(_rounds), Counter[str]()
    for item in items:
        times[name(item)] += 1
        yield f"{number}:{times[name(item)]}:{name(item)}", item


def _full(error: Exception, out: Path) -> OutputError:
    """The error for a full disk: that of the named file, else the fuller of the output and temporary ones."""
    place = getattr(error, "filename", None)
    places = [Path(place)] if isinstance(place, str) else [out, Path(tempfile.gettempdir())]
    return disk_space.disk_full_error(min(places, key=lambda path: disk_space.free_bytes(path) or 0), error)
