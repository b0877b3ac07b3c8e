"""Jobs of compiled loops run once each, on the threads of OpenMP or of a pool; errors reach the caller."""

from __future__ import annotations

import threading

import pytest
import torch

from vacli.models import torch_threads

pytestmark = pytest.mark.torch


@pytest.fixture(params=["openmp", "pool"])
def four_threads(request, monkeypatch):
    if request.param == "pool":
        monkeypatch.setattr(torch_threads, "_openmp", lambda: None)
    elif torch_threads._openmp() is None:
        pytest.skip("torch has not loaded GNU OpenMP")
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("four_threads")
def test_each_job_runs_once():
    done: list[int] = []
    torch_threads.run_jobs(lambda first, last: done.extend(range(first, last)), 11)
    assert sorted(done) == list(range(11))


@pytest.mark.usefixtures("four_threads")
def test_parts_run_at_the_same_time():
    together = threading.Barrier(3, timeout=20)
    torch_threads.run_jobs(lambda first, last: together.wait(), 3)


@pytest.mark.usefixtures("four_threads")
def test_an_error_of_any_part_is_raised():
    def fail(first: int, last: int) -> None:
        if last == 8:
            raise ValueError("the last part")

    with pytest.raises(ValueError, match="the last part"):
        torch_threads.run_jobs(fail, 8)


def test_a_forked_process_uses_its_own_pool(monkeypatch):
    monkeypatch.setattr(torch_threads, "_process", -1)
    monkeypatch.setattr(torch_threads, "_openmp", lambda: pytest.fail)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        names: set[str] = set()
        torch_threads.run_jobs(lambda first, last: names.add(threading.current_thread().name), 2)
    finally:
        torch.set_num_threads(before)
    assert names
