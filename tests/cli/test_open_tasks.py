"""Progress: counts of inputs, time left over the whole run, lines in a log and bars on a terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from vacli.cli import open_tasks
from vacli.cli.console import Console
from vacli.cli.open_tasks import OpenTasks, left_text
from vacli.steps._batch import DONE, Batch, run_each

TOP = Path(__file__).parents[2]


def test_a_fraction_includes_the_part_of_the_input_in_progress():
    tasks = OpenTasks()
    inputs = tasks.open("total", 4, "inputs")
    inputs.count = 1
    clip = tasks.open("clip.mp4", 100, "frames")
    clip.count = 50
    assert tasks.fraction(clip) == 0.5
    assert tasks.fraction(inputs) == (1 + 0.5) / 4
    assert tasks.count_text(inputs) == "2 of 4 inputs"
    tasks.close(clip)
    assert tasks.fraction(inputs) == 1 / 4


def test_inputs_in_parallel_count_together():
    tasks = OpenTasks()
    inputs = tasks.open("total", 4, "inputs")
    for count in (20, 40):
        tasks.open("clip.mp4", 100, "frames").count = count
    assert tasks.fraction(inputs) == pytest.approx((0.2 + 0.4) / 4)


def test_folds_epochs_and_steps_are_nested():
    tasks = OpenTasks()
    folds = tasks.open("total", 5, "folds")
    epochs = tasks.open("fold 1", 10, "epochs")
    epochs.count = 4
    steps = tasks.open("epoch 5", 20, "steps")
    steps.count = 10
    assert tasks.fraction(folds) == pytest.approx(0.45 / 5)
    assert tasks.line(steps).startswith("epoch 5: 10 of 20 steps")
    assert tasks.line(steps).endswith("; fold 1: 5 of 10 epochs; total: 1 of 5 folds")


def test_the_time_left_is_that_of_the_whole_run(monkeypatch):
    now_s = 0.0
    monkeypatch.setattr(open_tasks.time, "monotonic", lambda: now_s)
    tasks = OpenTasks()
    inputs = tasks.open("total", 30, "inputs")
    inputs.start_s, inputs.count, now_s = 0.0, 10, 600.0
    assert tasks.left_s(inputs) == pytest.approx(1200)
    assert left_text(tasks.left_s(inputs)) == "20 min left"


def test_the_speed_of_an_input_leaves_out_the_time_before_its_first_frame(monkeypatch):
    now_s = 0.0
    monkeypatch.setattr(open_tasks.time, "monotonic", lambda: now_s)
    tasks = OpenTasks()
    clip = tasks.open("clip.mp4", 151, "frames")
    now_s = 40.0  # the inner loops are compiled
    clip.advance(1)
    assert tasks.line(clip) == "clip.mp4: 1 of 151 frames"
    now_s = 45.0
    clip.advance(50)
    assert tasks.line(clip) == "clip.mp4: 51 of 151 frames, 10 frames/s, 10 s left"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0.4, "0 s left"), (59, "59 s left"), (90, "2 min left"), (7500, "2 h 5 min left")],
)
def test_the_time_left_is_rounded_to_its_unit(seconds, text):
    assert left_text(seconds) == text


def test_a_log_has_a_line_with_the_number_of_the_input_at_most_every_ten_seconds(monkeypatch, capsys):
    now_s = 0.0
    monkeypatch.setattr(open_tasks.time, "monotonic", lambda: now_s)
    shown = Console()

    def work(name: str) -> str:
        nonlocal now_s
        with shown.task(name, 10, "frames") as advance:
            for _ in range(10):
                now_s += 1.5
                advance(1)
        return DONE

    run_each(Batch(Path("out")), [f"{n}.mp4" for n in range(3)], str, work, shown)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4  # 45 s, and a line after each 10.5 s
    assert lines[0].startswith("0.mp4: 7 of 10 frames, ")
    assert re.search(r"; total: 1 of 3 inputs, \d+ s left$", lines[0])
    assert "; total: 3 of 3 inputs" in lines[-1]


def test_short_inputs_give_lines_too(monkeypatch, capsys):
    now_s = 0.0
    monkeypatch.setattr(open_tasks.time, "monotonic", lambda: now_s)

    def work(name: str) -> str:
        nonlocal now_s
        now_s += 4.0
        return DONE

    run_each(Batch(Path("out")), list("abcdef"), str, work, Console())
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["total: 3 of 6 inputs, 12 s left", "total: 6 of 6 inputs, 0 s left"]


def test_a_single_input_is_not_counted(capsys):
    tasks = []

    class Listener(Console):
        def task(self, title, total, unit):
            tasks.append(title)
            return super().task(title, total, unit)

    run_each(Batch(Path("out")), ["a"], str, lambda name: DONE, Listener())
    assert tasks == []


def test_the_status_of_a_fold_replaces_the_one_before(monkeypatch, capsys):
    now_s = 0.0
    monkeypatch.setattr(open_tasks.time, "monotonic", lambda: now_s)
    shown = Console()
    with shown.task("fold 2", 30, "epochs") as advance:
        for epoch in range(1, 31):
            now_s += 1.0
            shown.status(f"mean 0.{epoch:02d}")
            advance(1)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("fold 2: 9 of 30 epochs, mean 0.10")


def test_a_terminal_has_a_bar_for_the_run_and_one_for_the_input():
    pty = pytest.importorskip("pty")
    code = (
        "import time; from vacli.cli.console import Console; c = Console()\n"
        "with c.task('total', 3, 'inputs') as outer:\n"
        "    outer(1)\n"
        "    with c.task('clip.mp4', 10, 'frames') as inner:\n"
        "        c.status('note'); inner(5); time.sleep(0.3)\n"
        "c.info('finished')"
    )
    far, near = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(TOP), "TERM": "xterm", "COLUMNS": "80"}
    subprocess.run([sys.executable, "-c", code], env=environment, stderr=near, check=True)
    os.close(near)
    shown = _read_all(far)
    assert "2 of 3 inputs, note" in shown
    assert "clip.mp4" in shown
    assert shown.rstrip().endswith("finished")


def _read_all(terminal: int) -> str:
    """What a terminal got from programs that have ended; one read may return a part of it."""
    parts = []
    with os.fdopen(terminal, "rb", buffering=0) as stream, suppress(OSError):  # Linux ends with EIO
        while part := stream.read(1 << 16):
            parts.append(part)
    return b"".join(parts).decode()
