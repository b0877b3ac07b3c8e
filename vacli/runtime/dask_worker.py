"""The side of the Dask workers: open a job once in each thread, and run its function on single items."""

from __future__ import annotations

import os
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from vacli import __version__
from vacli.errors import VaError
from vacli.progress import Advance
from vacli.runtime.executor import Channel, Job, Message

CHECK_S = 1.0  # interval of the checks whether a task was cancelled
_of_thread = threading.local()


class Cancelled(BaseException):
    """The task was cancelled. It is no Exception, so that no input is reported as failed."""


@dataclass(frozen=True)
class PackedJob:
    """A pickled job, the version of the package, and the folder in which relative paths are meant."""

    data: bytes
    version: str
    folder: str

    @classmethod
    def of(cls, job: Job[Any, Any]) -> PackedJob:
        """Pack a job for the workers."""
        return cls(pickle.dumps(job), __version__, os.getcwd())


@dataclass(frozen=True)
class Report:
    """What a task returns to the client. opening: messages of the job's start. fatal: ends the run."""

    result: Any = None
    messages: tuple[Message, ...] = ()
    values: tuple[object, ...] = ()
    opening: tuple[Message, ...] = ()
    fatal: VaError | None = None


def run_item(packed: PackedJob, item: object) -> Report:
    """Run a job on an item. An error of an input is part of the result; a VaError otherwise ends the run."""
    if packed.version != __version__:
        return Report(fatal=version_error(__version__, packed.version))
    with _working_folder(packed.folder) as problem:
        if problem:
            return Report(fatal=VaError(problem, hint="all machines need the same shared file system"))
        try:
            opened = _opened(packed)
            result = opened.function(item)
        except VaError as error:
            return Report(fatal=error)
        except Cancelled:
            return Report(fatal=VaError("the task was cancelled"))
    messages, values = opened.collected.take()
    return Report(result, messages, values, opened.opening)


def installed_version() -> str:
    """The version of the package in this process."""
    return __version__


def version_error(found: str | None, expected: str) -> VaError:
    """The error for workers with another version of the package, or without it (None)."""
    what = f"vacli {found}" if found else "no vacli"
    return VaError(
        f"a Dask worker has {what}, and this machine has {expected}",
        hint=f"install vacli=={expected} in the environment of the workers",
    )


class _Collected:
    """The progress of a job on a worker: messages and values are kept for the client."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._values: list[object] = []
        self._last_check_s = 0.0

    @contextmanager
    def task(self, title: str, total: float | None, unit: str) -> Iterator[Advance]:
        """A task without a display; advancing it raises Cancelled if the client has cancelled the item."""
        yield self._check_cancelled

    def status(self, message: str) -> None:
        """A state is not kept."""

    def info(self, message: str) -> None:
        """Keep a message."""
        self._messages.append(Message("info", message))

    def warn(self, message: str) -> None:
        """Keep a warning."""
        self._messages.append(Message("warn", message))

    def emit(self, value: object) -> None:
        """Keep a value."""
        self._values.append(value)

    def take(self) -> tuple[tuple[Message, ...], tuple[object, ...]]:
        """The messages and values since the last call."""
        taken = tuple(self._messages), tuple(self._values)
        self._messages, self._values = [], []
        return taken

    def _check_cancelled(self, amount: float) -> None:
        now_s = time.monotonic()
        if now_s - self._last_check_s >= CHECK_S:
            self._last_check_s = now_s
            if _is_cancelled():
                self.take()
                raise Cancelled


@dataclass(frozen=True)
class _OpenedJob:
    packed: PackedJob
    function: Callable[[Any], Any]
    collected: _Collected
    opening: tuple[Message, ...] = ()


def _opened(packed: PackedJob) -> _OpenedJob:
    """The job of this thread, which is opened if the thread has had another one.

    Threads do not share it, since networks and stores need not be safe to share.
    """
    current: _OpenedJob | None = getattr(_of_thread, "job", None)
    if current is None or current.packed != packed:
        _of_thread.job = None  # its memory is free before the next one is loaded
        collected = _Collected()
        job = pickle.loads(packed.data)
        function = job.open(Channel(collected, collected.emit))
        current = _OpenedJob(packed, function, collected, collected.take()[0])
        _of_thread.job = current
    current.collected.take()  # what a failed task has left
    return current


def _is_cancelled() -> bool:
    """Whether the client has cancelled the task of this thread."""
    from distributed import get_worker, worker

    with suppress(AttributeError, ValueError):  # not in the thread of a task
        task = get_worker().state.tasks.get(getattr(worker, "thread_state").key)  # noqa: B009
        return task is None or task.state == "cancelled"
    return False


@dataclass
class _Folder:
    """The working folder of the process, which its threads share while `users` of them work in it."""

    path: str = ""
    users: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)


_folder = _Folder()


@contextmanager
def _working_folder(path: str) -> Iterator[str]:
    """Work in a folder; yields why it cannot be used, else "". Waits for threads that work in another."""
    with _folder.changed:
        _folder.changed.wait_for(lambda: not _folder.users or _folder.path == path)
        try:
            os.chdir(path)
        except OSError as error:
            problem = f"a Dask worker cannot work in {path}: {error.strerror}"
        else:
            problem, _folder.path = "", path
            _folder.users += 1
    try:
        yield problem
    finally:
        if not problem:
            with _folder.changed:
                _folder.users -= 1
                _folder.changed.notify_all()
