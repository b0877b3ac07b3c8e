"""Batches of inputs: an error fails only its input; an output that cannot be written stops the run."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest

from vacli.errors import InputError, OutputError, ReaderGone
from vacli.files import disk_space
from vacli.progress import RecordingProgress
from vacli.steps._batch import DONE, SKIPPED, Batch, Failure, find_each, run_each

OUT = Path("out")


def run(work, items="abc", **options) -> tuple[Batch, RecordingProgress]:
    progress = RecordingProgress()
    return run_each(Batch(OUT), items, str, work, progress, **options), progress


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (InputError("no", hint="do"), "no; do"),
        (PermissionError(errno.EACCES, "Permission denied", "b.mp4"), "b.mp4: Permission denied; check that"),
        (
            MemoryError("Unable to allocate 9 GiB"),
            "not enough memory (MemoryError: Unable to allocate 9 GiB)",
        ),
        (RecursionError("too deep"), "unexpected RecursionError: too deep; run this input alone with"),
        (AttributeError("two\nlines"), "unexpected AttributeError: two lines; run this input alone with"),
    ],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_any_error_fails_only_its_input(error, reason, workers):
    def work(item: str) -> str:
        if item == "b":
            raise error
        return DONE if item == "a" else SKIPPED

    batch, progress = run(work, workers=workers)
    assert (batch.done, batch.skipped) == (["a"], ["c"])
    assert batch.failed[0].name == "b"
    assert batch.failed[0].reason.startswith(reason)
    assert progress.warnings[0].startswith(reason if reason.startswith("b") else f"b: {reason}")


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("error", [OutputError("no room"), ReaderGone("gone"), KeyboardInterrupt()])
def test_errors_of_the_output_or_the_user_stop_the_run(error, workers):
    def work(item: str) -> str:
        if item == "b":
            raise error
        return DONE

    with pytest.raises(type(error)):
        run(work, workers=workers)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_stops_the_run_and_names_the_path(number, tmp_path, monkeypatch):
    monkeypatch.setattr(disk_space, "free_bytes", lambda path: 5_000_000 if path == OUT else 10**9)

    def work(item: str) -> str:
        raise OSError(number, "full")

    with pytest.raises(OutputError, match=r"^out: (no space left|over the quota); 5 MB are free"):
        run(work)


def test_inputs_are_recorded_in_order_whatever_their_duration():
    last = threading.Event()

    def work(item: str) -> str:
        if item == "c":
            last.set()
        else:
            assert last.wait(60)
        return DONE

    batch, _ = run(work, workers=3)
    assert batch.done == ["a", "b", "c"]


def test_an_unlistable_path_fails_and_the_others_are_found():
    batch, progress = Batch(OUT), RecordingProgress()

    def find(path: Path) -> list[str]:
        if path.name == "loop":
            raise RuntimeError("Symlink loop")
        return [f"{path}/1", f"{path}/2"]

    found = list(find_each([Path("a"), Path("loop"), Path("b")], find, batch, progress))
    assert found == ["a/1", "a/2", "b/1", "b/2"]
    assert [failure.name for failure in batch.failed] == ["loop"]
    assert "unexpected RuntimeError: Symlink loop" in progress.warnings[0]
    assert isinstance(batch.failed[0], Failure)
