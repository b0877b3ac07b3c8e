"""Run a step over many inputs, in this process or in others, and record which were done, skipped or failed.

A failed input is reported with its reason, and the others are processed. The run stops if a result cannot be
written (OutputError, a full disk, a closed pipe) or if the user interrupts it.
"""

from __future__ import annotations

import itertools
import logging
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, TypeVar

from vacli.errors import OutputError, VaError
from vacli.files import disk_space
from vacli.progress import Advance, Progress
from vacli.runtime.executor import Channel, Completed, Executor, Job, LocalExecutor, Task
from vacli.steps import _journal
from vacli.steps._journal import DONE, FAILED, SKIPPED, InputStatus
from vacli.steps._task_queue import Entry, Split, TaskQueue

Item = TypeVar("Item")
Found = TypeVar("Found")

__all__ = [
    "DONE",
    "FAILED",
    "SKIPPED",
    "Batch",
    "Failure",
    "InputStatus",
    "Split",
    "find_each",
    "reason_of",
    "run_each",
    "run_job",
]

MAX_VALUES = 1000  # such as tables, that wait for those of an earlier input
_rounds = itertools.count()
log = logging.getLogger("vacli")  # receives the tracebacks of failed inputs at level DEBUG


@dataclass(frozen=True)
class Failure:
    """An input that could not be processed, and the reason in one line."""

    name: str
    reason: str


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
    return run_job(batch, items, name, _Function(work), Channel(progress), LocalExecutor(workers))


def run_job(
    batch: Batch,
    items: Iterable[Item],
    name: Callable[[Item], str],
    job: Job[Item, str | Split[Item]],
    channel: Channel,
    executor: Executor,
) -> Batch:
    """As `run_each`, for a job that other processes can run. Values are emitted in the order of the items.

    The items may come from an iterator; only those in progress are held. The job may split an item unless it
    runs in this process, whose journal has one record for each item.
    """
    records, queue = _OrderedRecords(batch, channel, executor.in_process), TaskQueue[Item]()

    def tasks() -> Iterator[Task[Entry[Item]] | None]:
        for number, (key, item) in enumerate(_keyed(items, name)):
            yield from queue.pieces()
            entry = Entry(key, name(item), item)
            if records.is_known(number, entry):
                advance(1)
            else:
                yield queue.begin(number, entry, _journal.current().is_suspect(key))
        yield from queue.rest()

    with _counted(items, channel.progress) as advance:
        bounded = replace(channel, is_full=lambda: records.n_values >= MAX_VALUES)
        for completed in executor.run(AttemptJob(job, batch.out), tasks(), bounded):
            ended = queue.end(completed)
            if ended is not None:
                records.add(ended)
                advance(1)
        records.flush()
    return batch


@dataclass(frozen=True)
class _Function(Generic[Item]):
    """A job of a plain function, which runs in this process only."""

    work: Callable[[Item], str]

    def open(self, channel: Channel) -> Callable[[Item], str]:
        """Return the function."""
        return self.work


@dataclass(frozen=True)
class AttemptJob(Generic[Item]):
    """A job that turns the errors of another one into the status of an input."""

    job: Job[Item, str | Split[Item]]
    out: Path

    def open(self, channel: Channel) -> Callable[[Entry[Item]], InputStatus | Split[Item]]:
        """Open the other job."""
        work = self.job.open(channel)

        def attempt(entry: Entry[Item]) -> InputStatus | Split[Item]:
            split: list[Split[Item]] = []

            def collect() -> str:
                result = work(entry.item)
                if isinstance(result, Split):
                    split.append(result)
                return DONE if isinstance(result, Split) else result

            status = _attempt(entry.key, entry.name, collect, self.out)
            return split[0] if split else status

        return attempt


class _OrderedRecords:
    """Records the statuses of inputs in the order of the inputs, and sends their messages and values.

    in_process: the inputs are processed in this process, which has sent them, and the journal, already.
    """

    def __init__(self, batch: Batch, channel: Channel, in_process: bool) -> None:
        self._batch, self._channel, self._in_process = batch, channel, in_process
        self._names: dict[int, tuple[str, str]] = {}
        self._waiting: dict[int, Completed[InputStatus]] = {}
        self._next = 0
        self.n_values = 0  # that wait for those of an earlier input

    def is_known(self, number: int, entry: Entry[Item]) -> bool:
        """Take an input that begins; an earlier process may have finished it."""
        self._names[number] = (entry.key, entry.name)
        status = _journal.current().known(entry.key)
        if status is not None:
            self._waiting[number] = Completed(number, status)
        return status is not None

    def add(self, completed: Completed[InputStatus]) -> None:
        """Take the status of an input."""
        self._waiting[completed.number] = completed
        self.n_values += len(completed.values)
        self.flush()

    def flush(self) -> None:
        """Record all inputs up to the first one that is not complete."""
        while (completed := self._waiting.pop(self._next, None)) is not None:
            key, name = self._names.pop(self._next)
            self._next += 1
            self.n_values -= len(completed.values)
            status = completed.result or InputStatus(FAILED, completed.died)
            self._send(completed)
            if not self._in_process:
                _journal.current().end(key, status)
            self._batch.record(name, status, self._channel.progress)

    def _send(self, completed: Completed[InputStatus]) -> None:
        progress = self._channel.progress
        for message in completed.messages:
            (progress.warn if message.kind == "warn" else progress.info)(message.text)
        for value in completed.values:
            self._channel.emit(value)


def _counted(items: Iterable[Item], progress: Progress) -> AbstractContextManager[Advance]:
    """The task of all inputs; nothing for a single one, which has a task of its own."""
    count = len(items) if isinstance(items, Sized) else None
    if count is not None and count < 2:
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
    known = _journal.current().known(key)
    if known is not None and not (again and known.kind != FAILED):
        return known
    _journal.current().check()
    _journal.current().begin(key, name)
    try:
        status = InputStatus(work())
    except OutputError:
        raise
    except Exception as error:
        log.debug("%s", name, exc_info=error)
        _journal.current().check()  # it may be the consequence of an interruption, not of the input
        if disk_space.is_disk_full(error):
            raise _full(error, out) from error
        status = InputStatus(FAILED, reason_of(error))
    _journal.current().end(key, status)
    return status


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
