"""Many inputs, one after another or several at once: what was done, what was complete already, what failed.

An input that fails is named with its reason and never ends the rest. A run ends where a result cannot be
written (OutputError, a full disk, a closed pipe) or somebody interrupts it.
"""

from __future__ import annotations

import itertools
import logging
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from vacli.errors import OutputError, VaError
from vacli.files import disk_space
from vacli.progress import Progress

Item = TypeVar("Item")
Found = TypeVar("Found")

DONE, SKIPPED, FAILED = "done", "skipped", "failed"
log = logging.getLogger("vacli")  # has the tracebacks of what failed, at level DEBUG


@dataclass(frozen=True)
class Failure:
    """An input that could not be processed, and the reason in one line."""

    name: str
    reason: str


@dataclass(frozen=True)
class Outcome:
    """What became of an input: DONE, SKIPPED, or FAILED with a reason in one line."""

    kind: str
    reason: str = ""


class Journal(Protocol):
    """Learns when work on an input begins and ends; it may know the outcome from a process that died."""

    def known(self, key: str) -> Outcome | None:
        """What became of an input already."""
        ...

    def is_suspect(self, key: str) -> bool:
        """Whether an input has to be worked on while no other is."""
        ...

    def begin(self, key: str, name: str) -> None:
        """Work on an input begins."""
        ...

    def end(self, key: str, outcome: Outcome) -> None:
        """Work on an input has ended."""
        ...


class NoJournal:
    """Knows nothing and keeps nothing."""

    def known(self, key: str) -> Outcome | None:
        return None

    def is_suspect(self, key: str) -> bool:
        return False

    def begin(self, key: str, name: str) -> None:
        pass

    def end(self, key: str, outcome: Outcome) -> None:
        pass


_journal: Journal = NoJournal()
_rounds = itertools.count()


def keep_journal(journal: Journal) -> None:
    """Tell `journal` of all inputs from now on; for a process that works on one command only."""
    global _journal
    _journal = journal


@dataclass
class Batch:
    """Result of a step over many inputs; `out` is what the next step reads."""

    out: Path
    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)

    def fail(self, name: str, error: Exception, progress: Progress) -> None:
        """Note a failure and tell it at once."""
        self.note(name, Outcome(FAILED, reason_of(error)), progress)

    def note(self, name: str, outcome: Outcome, progress: Progress) -> None:
        """Note what became of an input; a failure is said at once."""
        if outcome.kind != FAILED:
            (self.done if outcome.kind == DONE else self.skipped).append(name)
            return
        reason = outcome.reason
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

    An item whose work raises is noted as failed and the rest goes on. Outcomes are noted in the items' order.
    Raises OutputError where results cannot be written.
    """
    keyed = list(_keyed(items, name))

    def attempt(entry: tuple[str, Item]) -> Outcome:
        key, item = entry
        return _attempt(key, name(item), lambda: work(item), batch.out)

    for (_, item), outcome in zip(keyed, _in_order(attempt, keyed, workers), strict=True):
        batch.note(name(item), outcome, progress)
    return batch


def find_each(
    paths: Iterable[Path], find: Callable[[Path], Sequence[Found]], batch: Batch, progress: Progress
) -> Iterator[Found]:
    """What `find` makes of each path, one after another; a path for which it raises is noted as failed."""
    for key, path in _keyed(paths, str):
        found: list[Found] = []

        def look(path: Path = path, found: list[Found] = found) -> str:
            found += find(path)
            return DONE

        outcome = _attempt(key, str(path), look, batch.out, again=True)
        if outcome.kind == FAILED:
            batch.note(str(path), outcome, progress)
        yield from found


def reason_of(error: Exception) -> str:
    """Why an input failed, in one line that says what to do."""
    if isinstance(error, VaError):
        return error.one_line()
    if isinstance(error, MemoryError):
        what = f"MemoryError: {error}" if str(error) else "MemoryError"
        text = f"not enough memory ({what}); free some, or cut it into shorter pieces"
    elif isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        text = f"{where}{error.strerror}; see that it is there and may be read"
    else:
        kind = f"unexpected {type(error).__name__}: {error}"
        text = f"{kind}; run this input alone with --traceback and report it"
    return " ".join(text.split())


def _attempt(key: str, name: str, work: Callable[[], str], out: Path, again: bool = False) -> Outcome:
    """Do the work and tell the journal; `again`: it is needed once more even where it was done before."""
    known = _journal.known(key)
    if known is not None and not (again and known.kind != FAILED):
        return known
    _journal.begin(key, name)
    try:
        outcome = Outcome(work())
    except OutputError:
        raise
    except Exception as error:
        log.debug("%s", name, exc_info=error)
        if disk_space.is_disk_full(error):
            raise _full(error, out) from error
        outcome = Outcome(FAILED, reason_of(error))
    _journal.end(key, outcome)
    return outcome


def _in_order(
    attempt: Callable[[tuple[str, Item]], Outcome], keyed: list[tuple[str, Item]], workers: int
) -> Iterator[Outcome]:
    if workers == 1:
        yield from map(attempt, keyed)
        return
    alone = {key: attempt((key, item)) for key, item in keyed if _journal.is_suspect(key)}
    pool = ThreadPoolExecutor(workers)
    try:
        running = {entry[0]: pool.submit(attempt, entry) for entry in keyed if entry[0] not in alone}
        for key, _ in keyed:
            yield alone[key] if key in alone else running[key].result()
    finally:
        pool.shutdown(cancel_futures=True)


def _keyed(items: Iterable[Item], name: Callable[[Item], str]) -> Iterator[tuple[str, Item]]:
    """Every item with a key that is the same in another process that does the same."""
    number, times = next(_rounds), Counter[str]()
    for item in items:
        times[name(item)] += 1
        yield f"{number}:{times[name(item)]}:{name(item)}", item


def _full(error: Exception, out: Path) -> OutputError:
    """A full disk where the error says, else the fuller one of those that are written to."""
    place = getattr(error, "filename", None)
    places = [Path(place)] if isinstance(place, str) else [out, Path(tempfile.gettempdir())]
    return disk_space.disk_full_error(min(places, key=lambda path: disk_space.free_bytes(path) or 0), error)
