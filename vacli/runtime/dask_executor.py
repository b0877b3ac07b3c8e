"""Run tasks on the workers of a Dask cluster (`dask.distributed`), or of one that is started on this machine.

A bounded number of tasks is at the scheduler at any time. The scheduler gives the tasks of a worker that died
to another one. A task whose workers died several times runs again while no other task does, since a task that
shared a worker with the cause is suspected too.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from vacli import __version__
from vacli.errors import DIED_HINT, UsageError, VaError
from vacli.packages import needed_by
from vacli.progress import Progress
from vacli.runtime.dask_cluster import interrupts_blocked, local_cluster
from vacli.runtime.dask_worker import PackedJob, Report, installed_version, run_item, version_error
from vacli.runtime.executor import (
    TASKS_PER_WORKER,
    Channel,
    Completed,
    DaskChoice,
    ItemT,
    Job,
    ResultT,
    Task,
)

if TYPE_CHECKING:
    from types import TracebackType

    from distributed import Client, Future, LocalCluster

CONNECT_S = 10.0  # until an address counts as unreachable
WAIT_S = 0.05  # a notice of a completed task that comes between a look and a wait is missed
REFRESH_S = 5.0  # interval at which the workers are counted
CLOSE_S = 2.0  # until the workers of a cluster on this machine are killed
GONE_S = 180.0  # without a worker on this machine until the run ends
RESUME = "complete results are kept; run the same command again to finish"


class DaskExecutor:
    """A client of a scheduler. needs_gpu: every task claims one resource GPU of its worker."""

    in_process = False

    def __init__(self, choice: DaskChoice, needs_gpu: bool, progress: Progress) -> None:
        self._choice, self._needs_gpu, self._progress = choice, needs_gpu, progress
        self._cluster: LocalCluster | None = None
        self._client: Client | None = None
        self._limit, self._counted_s = 0, -REFRESH_S
        self._last_worker_s = self._last_report_s = time.monotonic()
        self._opening_shown: set[str] = set()

    def __enter__(self) -> DaskExecutor:
        with needed_by("--dask"):
            import distributed
        _silence()
        try:
            if self._choice.address is None:
                with interrupts_blocked():
                    self._cluster = local_cluster(self._choice.workers, self._needs_gpu)
            address = self._choice.address or self._cluster
            self._client = _connect(lambda: distributed.Client(address, timeout=CONNECT_S), self._name)
            self._await_workers()
            self._check_workers()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def run(
        self, job: Job[ItemT, ResultT], tasks: Iterable[Task[ItemT] | None], channel: Channel
    ) -> Iterator[Completed[ResultT]]:
        """See `Executor`. Raises VaError if the scheduler is lost."""
        submitted = _Submitted(self.client, PackedJob.of(job), self._needs_gpu)
        try:
            for task in tasks:
                while len(submitted) and channel.is_full():
                    yield from self._until(submitted, len(submitted) - 1, channel)
                if task is None:
                    yield from self._until(submitted, max(len(submitted) - 1, 0), channel)
                    continue
                if task.exclusive:
                    yield from self._until(submitted, 0, channel)
                submitted.add(task)
                yield from self._until(submitted, 0 if task.exclusive else self._capacity() - 1, channel)
            yield from self._until(submitted, 0, channel)
        finally:
            submitted.cancel()

    def _until(self, submitted: _Submitted, count: int, channel: Channel) -> Iterator[Completed[Any]]:
        """Wait until at most `count` tasks are at the scheduler; tasks whose workers died run again alone."""
        suspects: list[Task[Any]] = []
        while len(submitted) > (0 if suspects else count):
            task, report = self._next(submitted)
            if report is None:
                suspects.append(task)
            else:
                yield self._completed(task.number, report, channel.progress)
        for task in suspects:
            submitted.add(task)
            _, report = self._next(submitted)
            if report is None:
                why = f"the Dask workers that read it died each time; {DIED_HINT}"
                yield Completed(task.number, None, died=why)
            else:
                yield self._completed(task.number, report, channel.progress)

    @property
    def client(self) -> Client:
        """The client of the scheduler, while the context is open."""
        assert self._client is not None
        return self._client

    @property
    def _name(self) -> str:
        return self._choice.address or "this machine"

    def _next(self, submitted: _Submitted) -> tuple[Task[Any], Report | None]:
        """The next completed task; None for the report if the workers died. Raises what ends the run."""
        from distributed import KilledWorker

        while not submitted.has_ready(REFRESH_S):
            self._watch_workers()
        task, status, value = submitted.next()
        if status == "cancelled":
            raise self._lost_error()
        if status != "error":
            return task, value
        error = value[1]
        if isinstance(error, KilledWorker):
            return task, None
        if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == "vacli":
            raise version_error(None, __version__) from error
        raise error

    def _watch_workers(self) -> None:
        """Report that no worker is left. Raises VaError if those of this machine do not start again."""
        now_s = time.monotonic()
        if self._n_threads():
            self._last_worker_s = now_s
        elif self._choice.address is None and now_s - self._last_worker_s > GONE_S:
            raise VaError("the Dask workers of this machine do not start again", hint=RESUME)
        elif self._last_worker_s != self._last_report_s:
            self._last_report_s = self._last_worker_s
            self._progress.info(f"{self._name}: the scheduler has no workers now; waiting for them")

    def _completed(self, number: int, report: Report, progress: Progress) -> Completed[Any]:
        if report.fatal is not None:
            raise report.fatal
        for message in report.opening:
            if message.text not in self._opening_shown:  # each worker opens the job
                self._opening_shown.add(message.text)
                (progress.warn if message.kind == "warn" else progress.info)(message.text)
        return Completed(number, report.result, report.messages, report.values)

    def _capacity(self) -> int:
        """The number of tasks that may be at the scheduler."""
        now_s = time.monotonic()
        if now_s - self._counted_s >= REFRESH_S:
            self._counted_s = now_s
            self._limit = TASKS_PER_WORKER * max(self._n_threads(), 1)
        return self._limit

    def _n_threads(self) -> int:
        try:
            return sum(self.client.nthreads().values())
        except (OSError, TimeoutError) as error:
            raise self._lost_error() from error

    def _lost_error(self) -> VaError:
        return VaError(f"the Dask scheduler of {self._name} was lost", hint=RESUME)

    def _await_workers(self) -> None:
        """Wait for a first worker, which a queue may start later."""
        if self._n_threads() == 0:
            self._progress.info(f"{self._name}: the scheduler has no workers yet; waiting for them")
        while self._n_threads() == 0:
            time.sleep(0.5)

    def _check_workers(self) -> None:
        """Raise VaError for workers of another version, UsageError if none has a GPU that is needed."""
        for version in self.client.run(installed_version, on_error="return").values():
            if version != __version__:
                raise version_error(version if isinstance(version, str) else None, __version__)
        workers = self.client.scheduler_info()["workers"].values()
        if self._needs_gpu and not any(worker.get("resources", {}).get("GPU") for worker in workers):
            raise UsageError(
                f"no Dask worker of {self._name} offers the resource GPU",
                hint='start workers with `dask worker ADDRESS --resources "GPU=1"`, or omit --device',
            )

    def _close(self) -> None:
        for part in (self._client, self._cluster):
            if part is not None:
                with suppress(Exception):  # a scheduler that is gone
                    part.close(timeout=CLOSE_S)
        self._client = self._cluster = None


class _Submitted:
    """The tasks at the scheduler."""

    def __init__(self, client: Client, packed: PackedJob, needs_gpu: bool) -> None:
        from distributed import as_completed

        self._client, self._packed = client, packed
        self._resources = {"GPU": 1} if needs_gpu else None
        self._tasks: dict[Future[Any], Task[Any]] = {}
        self._completed = as_completed(with_results=True, raise_errors=False)

    def __len__(self) -> int:
        return len(self._tasks)

    def add(self, task: Task[Any]) -> None:
        """Submit a task."""
        key = f"va-{uuid.uuid4().hex}"
        future = self._client.submit(
            run_item, self._packed, task.item, key=key, pure=False, resources=self._resources
        )
        self._tasks[future] = task
        self._completed.add(future)

    def has_ready(self, timeout_s: float) -> bool:
        """Wait at most so long for a completed task."""
        deadline_s = time.monotonic() + timeout_s
        while not self._completed.has_ready() and time.monotonic() < deadline_s:
            with self._completed.thread_condition:
                self._completed.thread_condition.wait(timeout=WAIT_S)
        return self._completed.has_ready()

    def next(self) -> tuple[Task[Any], str, Any]:
        """Wait for a task: the task, the status of its future, and its result or the error's exc_info."""
        future, value = next(self._completed)
        status = future.status
        future.release()
        return self._tasks.pop(future), status, value

    def cancel(self) -> None:
        """Cancel all tasks; the workers stop at the next step of their progress."""
        with suppress(Exception):  # a scheduler that is gone
            if self._tasks:
                self._client.cancel(list(self._tasks), force=True)
        self._tasks.clear()


def _connect(make: Callable[[], Client], name: str) -> Client:
    try:
        return make()
    except (OSError, TimeoutError) as error:
        raise VaError(
            f"no Dask scheduler can be reached at {name}",
            hint="check the address, and whether `dask scheduler` runs there",
        ) from error


def _silence() -> None:
    """Leave out the log of the library: what concerns the user is reported by the step."""
    for name in ("distributed", *list(logging.root.manager.loggerDict)):
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)
