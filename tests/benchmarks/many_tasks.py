"""Memory of many tiny tasks on two Dask workers.

`PYTHONPATH=.:tests python tests/benchmarks/many_tasks.py [COUNT]` prints the memory of the client
with its scheduler, and of each worker, at tenths of the count.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from synth.jobs import StubJob

from vacli.progress import RecordingProgress
from vacli.runtime.executor import Channel, ExecutorChoice, Task


def rss_mib() -> int:
    """The memory of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS"))


def main(count: int) -> None:
    """Run the tasks."""
    start_s = time.monotonic()
    tasks = (Task(number, f"w{number}") for number in range(count))
    with ExecutorChoice("local:2").opened(RecordingProgress()) as executor:
        job = StubJob(Path("/tmp"), quiet=True)
        for done, _ in enumerate(executor.run(job, tasks, Channel(RecordingProgress())), 1):
            if done % (count // 10) == 0 or done == 1:
                workers = sorted(executor.client.run(rss_mib).values())
                seconds = round(time.monotonic() - start_s)
                print(f"{done} tasks, {seconds} s: {rss_mib()} MiB, workers {workers} MiB", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
