"""Threads with ordered results, for work that releases the GIL: decoding, networks, files."""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_END = object()


def n_cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def n_threads() -> int:
    """The number of threads for a computation: one for each core, at most OMP_NUM_THREADS.

    Dask sets OMP_NUM_THREADS for its workers, of which a machine may have one for each core.
    """
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return min(n_cores(), int(limit)) if limit.isdecimal() and int(limit) else n_cores()


def prefetch(items: Iterable[Item], depth: int) -> Generator[Item, None, None]:
    """The same items, up to `depth` of them computed in advance by a thread.

    An exception of `items` is raised here. Closing this generator stops the thread and closes `items`.
    """
    made: queue.Queue[Any] = queue.Queue(depth)
    stop = threading.Event()

    def give(item: object) -> None:
        while not stop.is_set():
            with suppress(queue.Full):
                made.put(item, timeout=0.1)
                return

    def produce() -> None:
        source = iter(items)
        try:
            for item in source:
                give(item)
                if stop.is_set():
                    break
        except BaseException as error:
            give(error)
        finally:
            getattr(source, "close", lambda: None)()
        give(_END)

    thread = threading.Thread(target=produce, name="ahead", daemon=True)
    thread.start()
    try:
        while (item := made.get()) is not _END:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()


def parallel_map(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int, depth: int
) -> Iterator[Result]:
    """function(item) for each item, in order, computed by `workers` threads up to `depth` items ahead."""
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > depth:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
