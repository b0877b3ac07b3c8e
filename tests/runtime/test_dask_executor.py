"""The Dask executor with stub jobs on a cluster of two processes, and its errors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from synth.jobs import StubJob, n_submissions_kept, n_tasks

from vacli.errors import OutputError, UsageError, VaError, WeightsError
from vacli.progress import RecordingProgress
from vacli.runtime import dask_cluster, dask_executor, dask_worker
from vacli.runtime.executor import Channel, Executor, ExecutorChoice, LocalExecutor
from vacli.steps._batch import Batch, run_job

distributed = pytest.importorskip("distributed")
# Its sockets and event loops end in other threads, after the test.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
WORDS = ["a", "fail", "b", "skip", "c", "a", "d", "e", "f", "g", "h", "i"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Executor]:
    with ExecutorChoice("local:2").opened(RecordingProgress()) as executor:
        yield executor


def run(executor: Executor, words, folder: Path, **job) -> tuple[Batch, RecordingProgress, list[str]]:
    progress, values = RecordingProgress(), []
    batch = Batch(folder)
    channel = Channel(progress, values.append)
    run_job(batch, words, str, StubJob(folder, **job), channel, executor)
    return batch, progress, values


def test_statuses_messages_and_values_are_those_of_a_local_run(cluster, tmp_path):
    expected, local, values = run(LocalExecutor(), WORDS, tmp_path)
    batch, progress, other_values = run(cluster, WORDS, tmp_path)
    assert batch == expected
    assert other_values == values
    assert (progress.warnings, progress.messages) == (local.warnings, local.messages)


def test_an_input_whose_worker_died_is_processed_by_another(cluster, tmp_path):
    batch, _, values = run(cluster, ["a", "die once", "b"], tmp_path)
    assert (batch.done, batch.failed) == (["a", "die once", "b"], [])
    assert (tmp_path / "die_once").read_text() == "died\n"
    assert values == ["A", "DIE ONCE", "B"]


def test_an_input_that_kills_each_worker_fails_and_the_others_are_done(cluster, tmp_path):
    batch, progress, _ = run(cluster, ["a", "b", "die", "c", "d", "e"], tmp_path)
    assert batch.done == ["a", "b", "c", "d", "e"], batch.failed
    (failure,) = batch.failed
    assert failure.name == "die"
    assert failure.reason.startswith("the Dask workers that read it died each time; it may be damaged")
    assert f"die: {failure.reason}" in progress.warnings
    assert (tmp_path / "die").read_text().count("died") == 2 * (dask_cluster.LOCAL_DEATHS + 1)


@pytest.mark.parametrize(
    ("job", "words", "error", "text"),
    [
        ({"broken": True}, ["a"], WeightsError, "weights are damaged; download them again"),
        ({}, ["a", "full", "b"], OutputError, "out cannot be written; make room"),
    ],
)
def test_errors_that_end_a_local_run_end_this_one(cluster, tmp_path, job, words, error, text):
    with pytest.raises(error) as raised:
        run(cluster, words, tmp_path, **job)
    assert raised.value.one_line() == text


def test_only_some_tasks_are_at_the_scheduler(cluster, tmp_path):
    ahead = []

    def words() -> Iterator[str]:
        for number in range(60):
            ahead.append(number - len(batch.done))
            yield f"w{number}"

    batch = Batch(tmp_path)
    channel = Channel(RecordingProgress())
    run_job(batch, words(), str, StubJob(tmp_path, quiet=True), channel, cluster)
    assert len(batch.done) == 60
    assert 2 <= max(ahead) <= 20  # 4 a worker at the scheduler, and some that wait for an earlier one


def test_finished_tasks_are_forgotten(cluster, tmp_path):
    batch, *_ = run(cluster, [f"w{number}" for number in range(200)], tmp_path, quiet=True)
    assert len(batch.done) == 200
    deadline_s = time.monotonic() + 10
    while (left := cluster.client.run_on_scheduler(n_tasks)) > 8 and time.monotonic() < deadline_s:
        time.sleep(0.1)
    assert left <= 8
    assert len(cluster.client.futures) <= 8
    assert cluster.client.run_on_scheduler(n_submissions_kept) == 0


def test_a_worker_of_another_version_is_refused(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(dask_worker, "__version__", "9.9")
    with pytest.raises(VaError, match=r"a Dask worker has vacli .*, and this machine has 9\.9"):
        run(cluster, ["a"], tmp_path)


def test_a_folder_that_workers_lack_is_named(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getcwd", lambda: "/not/shared")
    with pytest.raises(VaError, match=r"a Dask worker cannot work in /not/shared: No such file") as raised:
        run(cluster, ["a"], tmp_path)
    assert "shared file system" in raised.value.one_line()


def test_an_interrupted_run_stops_its_tasks_on_the_workers(cluster, tmp_path):
    def interrupt() -> None:
        while not (tmp_path / "slow").exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        run(cluster, ["slow", "a"], tmp_path)
    batch, *_ = run(cluster, [f"w{n}" for n in range(6)], tmp_path)  # no worker is busy any more
    assert len(batch.done) == 6
    deadline_s = time.monotonic() + 10
    while any(cluster.client.processing().values()) and time.monotonic() < deadline_s:
        time.sleep(0.1)
    assert not any(cluster.client.processing().values())


@pytest.fixture
def scheduler(tmp_path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A scheduler without workers in a process of its own, and its address."""
    code = (
        "import asyncio, distributed\n"
        "async def serve():\n"
        "    async with distributed.Scheduler(host='127.0.0.1', port=0, dashboard=False) as made:\n"
        "        print(made.address, flush=True)\n"
        "        await made.finished()\n"
        "asyncio.run(serve())\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert process.stdout is not None
    yield process, process.stdout.readline().strip()
    process.kill()
    process.wait()
    process.stdout.close()


def start_worker(address: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([*command, "--no-dashboard"], env=environment, **quiet)


def test_a_lost_scheduler_is_one_line(scheduler, tmp_path):
    process, address = scheduler
    path = os.pathsep.join(str(Path(__file__).parents[n]) for n in (1, 2))
    worker = start_worker(address, {**os.environ, "PYTHONPATH": path})

    def lose() -> None:
        while not (tmp_path / "slow").exists():
            time.sleep(0.05)
        process.kill()

    threading.Thread(target=lose, daemon=True).start()
    try:
        progress = RecordingProgress()
        with pytest.raises(VaError) as raised, ExecutorChoice(address).opened(progress) as executor:
            run(executor, ["a", "slow"], tmp_path)
    finally:
        worker.kill()
        worker.wait()
    assert raised.value.one_line() == (
        f"the Dask scheduler of {address} was lost; "
        "complete results are kept; run the same command again to finish"
    )
    assert progress.messages == [f"{address}: the scheduler has no workers yet; waiting for them"]


def test_an_address_without_a_scheduler_is_one_line(monkeypatch):
    monkeypatch.setattr(dask_executor, "CONNECT_S", 0.5)
    with pytest.raises(VaError) as raised, ExecutorChoice("tcp://127.0.0.1:9").opened(RecordingProgress()):
        pass
    assert raised.value.one_line().startswith("no Dask scheduler can be reached at tcp://127.0.0.1:9; check")


def test_a_gpu_is_claimed_from_workers_that_offer_one(cluster):
    address = cluster.client.scheduler.address
    with (
        pytest.raises(UsageError, match=r"no Dask worker of .* offers the resource GPU"),
        ExecutorChoice(address, device="cuda").opened(RecordingProgress()),
    ):
        pass
