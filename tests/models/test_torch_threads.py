"""Jobs of compiled loops run once each, on the threads of OpenMP or of a pool; errors reach the caller."""

from __future__ import annotations

import ctypes
import sys
import threading

import numba
import numpy as np
import pytest
import torch

from vacli.models import torch_threads
from vacli.runtime.jit import compiled
from vacli.runtime.shared_jobs import share

pytestmark = pytest.mark.torch
if sys.platform == "linux":
    LIBC = ctypes.CDLL(None)
    thread_id, sleep_us = LIBC.gettid, LIBC.usleep
    thread_id.argtypes, thread_id.restype = [], ctypes.c_int
    sleep_us.argtypes, sleep_us.restype = [ctypes.c_uint], ctypes.c_int


@compiled(nogil=True)
def _count(tables, amount, first, last):
    for job in range(first, last):
        tables[0][job] += amount
        tables[1][job] = first


@compiled(nogil=True)
def count(tables, amount, team):
    share(_count, (tables, amount), team)


@numba.njit(nogil=True)  # with functions of C it cannot be cached
def _who(out, first, last):
    for job in range(first, last):
        out[job] = thread_id()
        sleep_us(100_000)


@numba.njit(nogil=True)
def who(out, team):
    share(_who, (out,), team)


@pytest.fixture(params=["openmp", "pool"])
def four_threads(request, monkeypatch):
    if request.param == "pool":
        monkeypatch.setattr(torch_threads, "_openmp", lambda: 0)
    elif not torch_threads._openmp():
        pytest.skip("torch has not loaded GNU OpenMP")
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("four_threads")
@pytest.mark.parametrize("jobs", [0, 1, 3, 4, 11])
def test_each_job_runs_once(jobs):
    tables = np.zeros(12, np.int64), np.full(12, -1)
    torch_threads.run_jobs(count, jobs, tables, 5)
    assert tables[0].tolist() == [5] * jobs + [0] * (12 - jobs)
    parts = {jobs * part // 4 for part in range(4)} if jobs >= 4 else set(range(jobs))
    assert set(tables[1][:jobs].tolist()) == parts


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the number of a thread")
@pytest.mark.usefixtures("four_threads")
def test_parts_run_on_several_threads():
    out = np.zeros(4, np.int64)
    torch_threads.run_jobs(who, 4, out)
    assert len(set(out.tolist())) > 1


def test_an_error_in_the_pool_is_raised(monkeypatch):
    monkeypatch.setattr(torch_threads, "_openmp", lambda: 0)

    def fail(team: tuple[int, int, int, int]) -> None:
        if team[1] == 8:
            raise ValueError("the last part")

    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        with pytest.raises(ValueError, match="the last part"):
            torch_threads.run_jobs(fail, 8)
    finally:
        torch.set_num_threads(before)


def test_a_forked_process_uses_its_own_pool(monkeypatch):
    monkeypatch.setattr(torch_threads, "_process", -1)
    monkeypatch.setattr(torch_threads, "_openmp", lambda: 1)  # a call of this address would crash
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        names: set[str] = set()
        torch_threads.run_jobs(lambda team: names.add(threading.current_thread().name), 2)
    finally:
        torch.set_num_threads(before)
    assert names
