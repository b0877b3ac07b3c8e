"""Small jobs for the executors, which worker processes can import."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vacli.errors import InputError, OutputError, WeightsError
from vacli.runtime.executor import Channel


@dataclass(frozen=True)
class StubJob:
    """Items are words: "fail", "full", "die", "die once", "slow", "pid"; others are done at once.

    folder: where an item leaves traces. broken: its resources cannot be loaded. quiet: no messages.
    """

    folder: Path
    broken: bool = False
    quiet: bool = False

    def open(self, channel: Channel) -> Callable[[str], str]:
        """Return the function."""
        if self.broken:
            raise WeightsError("weights are damaged", hint="download them again")
        if not self.quiet:
            channel.progress.info("opened")

        def work(item: str) -> str:
            if not self.quiet:
                channel.progress.warn(f"message of {item}")
                channel.emit(item.upper())
            return self._do(item, channel)

        return work

    def _do(self, item: str, channel: Channel) -> str:
        first = self.folder / item.replace(" ", "_")
        if item == "fail":
            raise InputError("fail: no frame can be decoded", hint="replace it")
        if item == "full":
            raise OutputError("out cannot be written", hint="make room")
        if item == "die" or (item == "die once" and not first.exists()):
            with first.open("a") as stream:
                stream.write("died\n")
            os.kill(os.getpid(), signal.SIGKILL)
        if item == "slow":
            with channel.progress.task("slow", None, "frames") as advance:
                first.write_text(str(os.getpid()))
                while True:
                    time.sleep(0.05)
                    advance(1)
        if item == "pid":
            return str(os.getpid())
        return "skipped" if item == "skip" else "done"


def n_tasks(dask_scheduler: Any) -> int:
    """The number of tasks that a Dask scheduler has, for `Client.run_on_scheduler`."""
    return len(dask_scheduler.tasks)


def n_submissions_kept(dask_scheduler: Any) -> int:
    """The number of submissions that a Dask scheduler has records of, for `Client.run_on_scheduler`."""
    spans = dask_scheduler.extensions["spans"].spans.values()
    return sum(len((span._metadata or {"collections": []})["collections"]) for span in spans)
