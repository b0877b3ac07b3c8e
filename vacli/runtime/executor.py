"""Run a job over many items: in threads of this process, or on the workers of a Dask cluster.

Items come from an iterator and results leave as they complete; only a bounded number of items is in progress,
so that the memory does not grow with the number of items.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from vacli.errors import UsageError
from vacli.progress import Progress
from vacli.runtime.concurrency import n_cores

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
ItemIn = TypeVar("ItemIn", contravariant=True)
ResultOut = TypeVar("ResultOut", covariant=True)

TASKS_PER_WORKER = 4  # in progress or waiting at a worker, so that none is idle between two tasks
LOCAL_ADDRESS = re.compile(r"local(?::(\d+))?")
REMOTE_ADDRESS = re.compile(r"(?:tcp|tls)://(?:[^\s/:]+|\[[0-9a-fA-F:.]+\]):\d+")


@dataclass(frozen=True)
class Channel:
    """Where a job sends its messages and its values.

    emit: called in the order of the items if they are processed elsewhere. is_full: whether so many values
    wait for those of an earlier item that no further task shall begin.
    """

    progress: Progress
    emit: Callable[[Any], None] = lambda value: None
    is_full: Callable[[], bool] = lambda: False


class Job(Protocol[ItemIn, ResultOut]):
    """A function over items with its resources. It can be pickled; its resources need not be."""

    def open(self, channel: Channel) -> Callable[[ItemIn], ResultOut]:
        """Load the resources, once in a thread of each worker process; returns the function.

        A VaError that this raises ends the run.
        """
        ...


@dataclass(frozen=True)
class Task(Generic[ItemT]):
    """An item and its number. exclusive: no other task is in progress while it is."""

    number: int
    item: ItemT
    exclusive: bool = False


@dataclass(frozen=True)
class Message:
    """A message of a job. kind: "info" or "warn"."""

    kind: str
    text: str


@dataclass(frozen=True)
class Completed(Generic[ResultT]):
    """The result of a task, with the messages and values that have not reached the channel yet.

    died: the reason if the processes that worked on the task died; there is no result then.
    """

    number: int
    result: ResultT | None
    messages: tuple[Message, ...] = ()
    values: tuple[object, ...] = ()
    died: str = ""


class Executor(Protocol):
    """Runs tasks."""

    @property
    def in_process(self) -> bool:
        """Whether tasks run in this process, so that messages and values reach the channel at once."""
        ...

    def run(
        self, job: Job[ItemT, ResultT], tasks: Iterable[Task[ItemT] | None], channel: Channel
    ) -> Iterator[Completed[ResultT]]:
        """Yield each task's result when it completes. An exception of a task ends the run.

        tasks: None in place of a task means that none can begin until a task in progress has completed.
        """
        ...


@dataclass(frozen=True)
class LocalExecutor:
    """Runs tasks in this process, one after another or in `workers` threads."""

    workers: int = 1
    in_process: ClassVar[bool] = True

    def run(
        self, job: Job[ItemT, ResultT], tasks: Iterable[Task[ItemT] | None], channel: Channel
    ) -> Iterator[Completed[ResultT]]:
        """See `Executor`."""
        function = job.open(channel)
        if self.workers == 1:
            for only in filter(None, tasks):
                yield Completed(only.number, function(only.item))
            return
        pool = ThreadPoolExecutor(self.workers)
        pending: set[Future[Completed[ResultT]]] = set()

        def complete(task: Task[ItemT]) -> Completed[ResultT]:
            return Completed(task.number, function(task.item))

        try:
            for task in tasks:
                if task is None:
                    yield from _finished(pending)
                    continue
                if task.exclusive:
                    yield from _drain(pending)
                    yield complete(task)
                    continue
                pending.add(pool.submit(complete, task))
                if len(pending) >= TASKS_PER_WORKER * self.workers:
                    yield from _finished(pending)
            yield from _drain(pending)
        finally:
            pool.shutdown(cancel_futures=True)


def _finished(pending: set[Future[Completed[ResultT]]]) -> Iterator[Completed[ResultT]]:
    """Wait for one future or more, and take them from `pending`."""
    done, _ = wait(pending, return_when=FIRST_COMPLETED)
    pending -= done
    yield from (future.result() for future in done)


def _drain(pending: set[Future[Completed[ResultT]]]) -> Iterator[Completed[ResultT]]:
    while pending:
        yield from _finished(pending)


@dataclass(frozen=True)
class DaskChoice:
    """A scheduler's address, or None and the number of workers that are started on this machine."""

    address: str | None
    workers: int

    @classmethod
    def parse(cls, text: str) -> DaskChoice:
        """Read local, local:N, tcp://HOST:PORT or tls://HOST:PORT. Raises UsageError."""
        local = LOCAL_ADDRESS.fullmatch(text)
        if local and local[1] != "0" * len(local[1] or "x"):
            return cls(None, int(local[1]) if local[1] else n_cores())
        if REMOTE_ADDRESS.fullmatch(text):
            return cls(text, 0)
        raise UsageError(f"--dask {text} is no address", hint="write local, local:4 or tcp://HOST:PORT")


@dataclass(frozen=True)
class ExecutorChoice:
    """dask: the value of --dask, None for this process. workers: threads of this process.

    device: of the networks; `cuda` claims the resource GPU of a Dask worker.
    """

    dask: str | None = None
    workers: int = 1
    device: str = "auto"

    def opened(self, progress: Progress) -> AbstractContextManager[Executor]:
        """The executor, which is closed at the end of the context.

        Raises UsageError for a wrong address, PackageMissing without `distributed`, VaError for a scheduler
        that cannot be reached or has workers of another version.
        """
        if self.dask is None:
            return nullcontext(LocalExecutor(self.workers))
        choice = DaskChoice.parse(self.dask)
        from vacli.runtime.dask_executor import DaskExecutor

        return DaskExecutor(choice, self.device.startswith("cuda"), progress)
