"""Compiled loops on the threads of torch.

Torch's OpenMP threads wait for some milliseconds after each of its operations without leaving their cores.
Threads of another pool would share the cores with them, so the loops run on the same threads where that is
possible: with GNU OpenMP, which torch loads on Linux.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

import torch

_process = os.getpid()


def run_jobs(kernel: Callable[..., None], jobs: int, *arguments: Any) -> None:
    """Run jobs 0 to `jobs` of a kernel on torch's number of threads.

    kernel: its last argument is the team of `runtime.shared_jobs.share`.
    """
    threads = min(torch.get_num_threads(), jobs)
    if threads <= 1:
        kernel(*arguments, (0, jobs, 1, 0))
        return
    region = _openmp()
    # The threads of OpenMP do not survive a fork.
    if region and os.getpid() == _process:
        kernel(*arguments, (0, jobs, threads, region))
    else:
        _run_in_pool(lambda first, end: kernel(*arguments, (first, end, 1, 0)), jobs, threads)


@cache
def _openmp() -> int:
    """The address of GNU OpenMP's GOMP_parallel, 0 if torch has not loaded it."""
    if sys.platform != "linux":
        return 0
    try:
        function = ctypes.CDLL(None).GOMP_parallel
    except (OSError, AttributeError):
        return 0
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _run_in_pool(work: Callable[[int, int], None], jobs: int, threads: int) -> None:
    mine, *rest = pairwise(jobs * part // threads for part in range(threads + 1))
    others = [_pool(os.getpid()).submit(work, *part) for part in rest]
    work(*mine)
    for other in others:
        other.result()


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    """One pool for each process: a fork copies the object but not its threads."""
    return ThreadPoolExecutor(thread_name_prefix="compiled-loops")
