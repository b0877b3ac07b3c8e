"""Executors in this process: order, bounds, exclusive tasks, addresses."""

from __future__ import annotations

import pickle
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from vacli.errors import PackageMissing, UsageError, VaError
from vacli.progress import RecordingProgress
from vacli.runtime.executor import Channel, DaskChoice, ExecutorChoice, LocalExecutor, Task

CHANNEL = Channel(RecordingProgress())


@dataclass
class CountingJob:
    """Counts the items in progress; `largest` is their largest number, `alone` that beside item 5."""

    running: int = 0
    largest: int = 0
    alone: int = 0
    opened: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self, channel: Channel) -> Callable[[int], int]:
        self.opened += 1
        barrier = threading.Event()

        def work(item: int) -> int:
            with self.lock:
                self.running += 1
                self.largest = max(self.largest, self.running)
                if item == 5:
                    self.alone = self.running
            barrier.wait(0.01)
            with self.lock:
                self.running -= 1
            return item * item

        return work


def tasks(count: int, exclusive: tuple[int, ...] = ()) -> Iterator[Task[int]]:
    return (Task(number, number, number in exclusive) for number in range(count))


@pytest.mark.parametrize("workers", [1, 3])
def test_each_item_has_its_result_and_the_job_is_opened_once(workers):
    job = CountingJob()
    completed = list(LocalExecutor(workers).run(job, tasks(20), CHANNEL))
    assert {each.number: each.result for each in completed} == {n: n * n for n in range(20)}
    assert (job.opened, job.largest) == (1, workers)


@pytest.mark.parametrize("workers", [1, 3])
def test_an_exclusive_item_runs_while_no_other_does(workers):
    job = CountingJob()
    list(LocalExecutor(workers).run(job, tasks(12, exclusive=(5,)), CHANNEL))
    assert job.alone == 1
    assert job.largest == workers


@pytest.mark.parametrize("workers", [1, 2])
def test_items_are_taken_as_they_are_needed(workers):
    taken = []

    def counted() -> Iterator[Task[int]]:
        for task in tasks(1000):
            taken.append(task.number)
            yield task

    running = LocalExecutor(workers).run(CountingJob(), counted(), CHANNEL)
    next(running)
    assert len(taken) <= 4 * workers
    running.close()
    assert len(taken) <= 4 * workers


@pytest.mark.parametrize("workers", [1, 2])
def test_memory_does_not_grow_with_the_number_of_items(workers):
    class Job:
        def open(self, channel: Channel) -> Callable[[int], int]:
            return lambda item: item

    def peak_bytes(count: int) -> int:
        tracemalloc.start()
        for _ in LocalExecutor(workers).run(Job(), tasks(count), CHANNEL):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak_bytes(100)
    assert peak_bytes(5_000) < peak_bytes(500) + 50_000


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("local:3", DaskChoice(None, 3)),
        ("tcp://10.0.0.1:8786", DaskChoice("tcp://10.0.0.1:8786", 0)),
        ("tls://head.example.org:8786", DaskChoice("tls://head.example.org:8786", 0)),
        ("tcp://[::1]:8786", DaskChoice("tcp://[::1]:8786", 0)),
    ],
)
def test_addresses(text, choice):
    assert DaskChoice.parse(text) == choice


def test_local_has_a_worker_for_each_core():
    assert DaskChoice.parse("local").workers >= 1


@pytest.mark.parametrize(
    "text", ["", "local:", "local:0", "local:00", "local:x", "http://a:1", "tcp://a", "a:1"]
)
def test_other_texts_are_no_address(text):
    with pytest.raises(UsageError, match=r"--dask .* is no address"):
        DaskChoice.parse(text)


def test_the_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(PackageMissing) as raised, ExecutorChoice("local:1").opened(RecordingProgress()):
        pass
    assert raised.value.one_line() == (
        "--dask needs distributed, which is not installed; pip install 'vacli[cluster]'"
    )


@pytest.mark.parametrize(
    "error", [VaError("a", hint="b"), UsageError("c"), PackageMissing("d", package="x", hint="y")]
)
def test_errors_are_the_same_after_pickling(error):
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.__dict__) == (type(error), str(error), error.__dict__)
