"""Start a Dask cluster on this machine."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import LocalCluster

LOCAL_DEATHS = 1  # workers of this machine that may die on a task before it is suspected


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Delay Ctrl-C until a cluster has started.

    The thread that starts the workers inherits the block, and so do they: the terminal interrupts all
    processes, but only the client shall react to it.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # its start removes the block in the thread that it happens in
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def local_cluster(workers: int, needs_gpu: bool) -> LocalCluster:
    """A cluster of processes of one thread on this machine, without a limit of memory."""
    import dask
    from distributed import LocalCluster

    dask.config.set({"distributed.scheduler.allowed-failures": LOCAL_DEATHS})
    dask.config.set({"distributed.deploy.lost-worker-timeout": "1 day"})  # else slow restarts are given up
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
        memory_limit=0,
        resources={"GPU": 1} if needs_gpu else None,
        scheduler_kwargs={"extensions": _extensions()},
    )


def _extensions() -> dict[str, Any]:
    """Those of a scheduler, without a record of each submission, which takes 0.4 kB and is never removed."""
    from distributed.scheduler import DEFAULT_EXTENSIONS
    from distributed.spans import SpansSchedulerExtension

    class Spans(SpansSchedulerExtension):
        def observe_tasks(self, tss: Any, code: Any, span_metadata: Any) -> Any:
            return super().observe_tasks(tss, code, {"collections": []})

    return {**DEFAULT_EXTENSIONS, "spans": Spans}
