"""Compiled loops on the threads of torch.

Torch's OpenMP threads wait for some milliseconds after each of its operations without leaving their cores.
Threads of another pool would share the cores with them, so the loops run on the same threads where that is
possible: with GNU OpenMP, which torch loads on Linux.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import torch

Work = Callable[[], None]
_Region = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_process = os.getpid()


def run_jobs(kernel: Callable[..., None], jobs: int, *arguments: Any) -> None:
    """Run jobs 0 to `jobs` among torch's number of threads; `kernel` gets the first and the end of a part."""
    threads = min(torch.get_num_threads(), jobs)
    if threads <= 1:
        kernel(*arguments, 0, jobs)
        return
    parts = deque((jobs * i // threads, jobs * (i + 1) // threads) for i in range(threads))
    errors: list[BaseException] = []

    def work() -> None:
        try:
            while parts:
                kernel(*arguments, *parts.popleft())
        except IndexError:  # another thread took the last part
            pass
        except BaseException as error:  # an exception cannot leave a thread of OpenMP
            errors.append(error)

    region = _openmp()
    # The threads of OpenMP do not survive a fork.
    if region is None or os.getpid() != _process:
        _run_in_pool(work, threads)
    else:
        region(_Region(lambda _: work()), None, threads, 0)
    if errors:
        raise errors[0]


@cache
def _openmp() -> Callable[..., None] | None:
    """GOMP_parallel(function, data, threads, flags) of GNU OpenMP, None if torch has not loaded it."""
    if sys.platform != "linux":
        return None
    try:
        region = ctypes.CDLL(None).GOMP_parallel
    except (OSError, AttributeError):
        return None
    region.argtypes = [_Region, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    region.restype = None
    return region


def _run_in_pool(work: Work, threads: int) -> None:
    others = [_pool(os.getpid()).submit(work) for _ in range(threads - 1)]
    work()
    for other in others:
        other.result()


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    """One pool for each process: a fork copies the object but not its threads."""
    return ThreadPoolExecutor(thread_name_prefix="compiled-loops")
