"""Inputs that are split into pieces: the order of their tasks, and one status for each input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from vacli.errors import InputError
from vacli.progress import RecordingProgress
from vacli.runtime.executor import Channel, LocalExecutor
from vacli.steps._batch import DONE, Batch, Split, run_job

PIECES = ("1", "2", "3")


@dataclass
class SplittingJob:
    """Splits inputs of several letters; "bad" has a piece that fails, "empty" no pieces."""

    done: list[str] = field(default_factory=list)

    def open(self, channel: Channel) -> Callable[[str], str | Split[str]]:
        def work(item: str) -> str | Split[str]:
            name, _, piece = item.partition(" ")
            if len(name) > 1 and not piece:
                pieces = () if name == "empty" else PIECES
                return Split([f"{name} {piece}" for piece in pieces], f"{name} join")
            if item == "bad 2":
                raise InputError("bad: does not decode")
            channel.emit(item)
            self.done.append(item)
            return DONE

        return work


@pytest.mark.parametrize("workers", [1, 3])
def test_an_input_ends_with_its_join_and_has_one_status(workers, tmp_path):
    job, values, batch = SplittingJob(), [], Batch(tmp_path)
    words = ["a", "long", "b", "bad", "empty", "c", "last"]
    progress = RecordingProgress()
    run_job(batch, words, str, job, Channel(progress, values.append), LocalExecutor(workers))
    assert batch.done == ["a", "long", "b", "empty", "c", "last"]
    assert [failure.name for failure in batch.failed] == ["bad"]
    assert progress.warnings == ["bad: does not decode"]
    assert "bad join" not in job.done
    for name in ("long", "last"):
        places = {item: place for place, item in enumerate(job.done)}
        assert places[f"{name} join"] > max(places[f"{name} {piece}"] for piece in PIECES)
    assert "empty join" in job.done


def test_pieces_begin_before_further_inputs_and_a_failed_input_begins_no_more(tmp_path):
    job, batch = SplittingJob(), Batch(tmp_path)
    run_job(batch, ["long", "bad", "a"], str, job, Channel(RecordingProgress()), LocalExecutor())
    assert job.done == ["long 1", "long 2", "long 3", "long join", "bad 1", "a"]
