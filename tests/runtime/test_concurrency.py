from __future__ import annotations

import os
import threading
import time

import pytest

from vacli.runtime import concurrency
from vacli.runtime.concurrency import parallel_map, prefetch


def test_all_items_come_in_order():
    assert list(prefetch(iter(range(50)), 3)) == list(range(50))


def test_no_more_than_depth_items_are_computed():
    made = []
    items = prefetch((made.append(i) or i for i in range(100)), 3)
    next(items)
    time.sleep(0.2)
    assert len(made) <= 1 + 3 + 1  # taken, waiting, and one in the thread
    items.close()


def test_an_error_is_raised_at_its_item():
    def broken():
        yield 1
        raise OSError("the disk is gone")

    items = prefetch(broken(), 2)
    assert next(items) == 1
    with pytest.raises(OSError, match="disk is gone"):
        next(items)


def test_closing_ends_the_thread_and_closes_the_source():
    closed = threading.Event()

    def source():
        try:
            while True:
                yield 0
        finally:
            closed.set()

    items = prefetch(source(), 2)
    next(items)
    items.close()
    assert closed.is_set()
    assert not [t for t in threading.enumerate() if t.name == "ahead"]


def test_results_keep_the_order_of_their_items():
    def slow(number: int) -> int:
        time.sleep(0.01 * (number % 3))
        return number * number

    assert list(parallel_map(slow, range(20), 4, 6)) == [n * n for n in range(20)]


def test_an_error_of_the_function_is_raised():
    with pytest.raises(ZeroDivisionError):
        list(parallel_map(lambda n: 1 // n, [1, 0, 1], 2, 2))


@pytest.mark.parametrize(
    ("limit", "count"), [("1", 1), ("2", 2), ("99", 3), ("", 3), ("0", 3), ("4,2", 3), (None, 3)]
)
def test_threads_are_limited_by_the_variable_of_openmp(limit, count, monkeypatch):
    monkeypatch.setattr(concurrency, "n_cores", lambda: 3)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if limit is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", limit)
    assert concurrency.n_threads() == count


def test_cores_are_those_of_the_process():
    assert 1 <= concurrency.n_cores() <= os.cpu_count()
