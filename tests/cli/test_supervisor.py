"""A crash costs one input; whatever an input does, the others are done, each row is there once."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import vacli
from vacli import packages
from vacli.datasets.audio_augmentation import write_wav

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
SCRIPT = Path(__file__).parents[1] / "synth" / "stub_command.py"
ENV = os.environ | {"PYTHONPATH": str(Path(vacli.__file__).parents[1])}


def start(*arguments: str, cwd: Path, **options) -> subprocess.Popen:
    command = [sys.executable, str(SCRIPT), *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL} | options
    return subprocess.Popen(command, cwd=cwd, env=ENV, text=True, **pipes)


def crunch(*arguments: str, cwd: Path) -> tuple[int, list[str], list[str]]:
    """Exit code, rows and messages."""
    process = start("crunch", *arguments, cwd=cwd)
    out, err = process.communicate(timeout=100)
    return process.returncode, out.splitlines(), err.splitlines()


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("segv", "segv: the process that read it died (signal 11, segmentation fault); it may be damaged"),
        ("kill", "kill: the process that read it died (signal 9, killed, as the system does where memory"),
        ("exit", "exit: the process that read it died (it exited with code 3); it may be damaged"),
        ("value", "value: unexpected ValueError: x; run this input alone with --traceback and report it"),
        ("memory", "memory: not enough memory (MemoryError); free memory"),
        ("deep", "deep: unexpected RecursionError: maximum recursion depth exceeded"),
        ("input", "input: no; do"),
    ],
)
def test_a_crash_of_one_input_does_not_stop_the_others(what, why, tmp_path):
    code, rows, said = crunch("a", "skip", what, "b", cwd=tmp_path)
    assert code == 1
    assert rows == ["header", "a whole", "skip whole", "b whole"]
    (line,) = [line for line in said if line.startswith(f"{what}: ")]
    assert line.startswith(why)
    assert said.count("begin a") == 1
    assert said[-1] == "2 1 1"


def test_rows_of_an_interrupted_input_are_kept_on_stdout_but_not_in_a_file(tmp_path):
    inputs = ("a", "half-1", "b", "half-2", "c")
    code, rows, _ = crunch(*inputs, cwd=tmp_path)
    assert code == 1
    assert rows == ["header", "a whole", "half-1 part", "b whole", "half-2 part", "c whole"]
    code, rows, said = crunch(*inputs, "-o", "t.csv", cwd=tmp_path)
    assert (code, rows) == (1, [])
    assert (tmp_path / "t.csv").read_text() == "header\na whole\nb whole\nc whole\n"
    assert os.listdir(tmp_path) == ["t.csv"]
    assert len([line for line in said if "died" in line]) == 2


def test_a_crash_of_the_first_input_leaves_one_header(tmp_path):
    crunch("half", "a", "-o", "t.csv", cwd=tmp_path)
    assert (tmp_path / "t.csv").read_text() == "header\na whole\n"


def test_the_input_that_crashes_is_found_among_several(tmp_path):
    code, rows, said = crunch("pair-bad", "pair-good", "a", "b", "--workers", "2", cwd=tmp_path)
    assert code == 1
    assert sorted(set(rows)) == ["a whole", "b whole", "header", "pair-good whole"]
    assert [line.split(":")[0] for line in said if "died" in line] == ["pair-bad"]
    assert said[-1] == "3 0 1"


def test_a_crash_before_any_input_ends_the_command(tmp_path):
    process = start("early", cwd=tmp_path)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 1
    assert err == (
        "va: the worker process died (signal 9, killed, as the system does where memory runs out) "
        "between two inputs\n"
    )


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
@pytest.mark.parametrize("to_all", [True, False])
def test_signals_end_the_command_and_keep_complete_rows(number, code, to_all, tmp_path):
    (tmp_path / "t.csv").write_text("old\n")
    process = start("crunch", "a", "wait", "b", "-o", "t.csv", cwd=tmp_path, start_new_session=True)
    wait_for(process.stderr, "begin wait")
    time.sleep(0.2)  # until it sleeps
    (os.killpg if to_all else os.kill)(process.pid, number)
    _, err = process.communicate(timeout=100)
    assert process.returncode == code
    assert "t.csv.partial has the rows so far; t.csv is as it was before" in err
    assert err.count("va: interrupted; what was complete is kept") == 1
    assert (tmp_path / "t.csv").read_text() == "old\n"
    assert (tmp_path / "t.csv.partial").read_text().startswith("header\na whole\n")
    assert sorted(os.listdir(tmp_path)) == ["t.csv", "t.csv.partial"]
    assert not group_lives(process.pid)


@pytest.mark.parametrize("delay_s", [0, 0.03, 0.1])
def test_a_command_that_is_interrupted_before_its_first_row_leaves_nothing(delay_s, tmp_path):
    write_wav(tmp_path / "a.wav", np.zeros(16000, np.float32))
    command = [sys.executable, "-m", "vacli", "predict", "a.wav", "-o", "out.csv"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=ENV, text=True, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        while len(os.listdir(tmp_path)) < 2 and process.poll() is None:
            time.sleep(0.001)
        time.sleep(delay_s)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=100)
    assert process.returncode == 130
    assert err.strip() == "va: interrupted; what was complete is kept, run the same command again to finish"
    assert os.listdir(tmp_path) == ["a.wav"]


@pytest.mark.parametrize("what", ["caught", "spoilt"])
def test_an_interruption_that_a_library_catches_ends_the_command(what, tmp_path):
    process = start("crunch", what, "b", cwd=tmp_path)
    wait_for(process.stderr, f"begin {what}")
    time.sleep(0.2)  # until it sleeps
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 143
    assert err.strip() == "va: interrupted; what was complete is kept, run the same command again to finish"


def test_a_signal_that_is_ignored_from_the_start_stays_ignored(tmp_path):
    command = f'trap "" HUP; exec {sys.executable} {SCRIPT} crunch a half b'
    process = subprocess.Popen(
        ["sh", "-c", command],
        cwd=tmp_path,
        env=ENV,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    wait_for(process.stderr, "begin a")
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=100)
    assert process.returncode == 1


def test_the_child_stops_when_its_parent_is_killed(tmp_path):
    process = start("crunch", "a", "wait", "-o", "t.csv", cwd=tmp_path, start_new_session=True)
    wait_for(process.stderr, "begin wait")
    process.kill()
    process.wait(100)
    end_s = time.monotonic() + 60
    while group_lives(process.pid) and time.monotonic() < end_s:
        time.sleep(0.1)
    assert not group_lives(process.pid)
    assert (tmp_path / "t.csv.partial").exists()
    process.communicate()


def test_a_child_that_does_not_stop_is_ended(tmp_path):
    code = (
        "import runpy, sys; from vacli.cli import supervisor\n"
        "supervisor.GRACE_S = 1; runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(SCRIPT), "crunch", "a", "deaf", "b"],
        cwd=tmp_path, env=ENV, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    wait_for(process.stdout, "deaf")
    process.terminate()
    _, err = process.communicate(timeout=100)
    assert process.returncode == 143
    assert "begin b" not in err


def test_a_traceback_of_a_failed_input_is_shown_when_asked_for(tmp_path):
    _, rows, said = crunch("value", "a", "--traceback", cwd=tmp_path)
    assert "Traceback (most recent call last):" in said
    assert "ValueError: x" in said
    assert rows[-1] == "a whole"


def test_the_real_commands_survive_a_crash(tmp_path):
    for number, name in enumerate(("a", "bad", "c")):
        tone = 0.1 * np.sin(np.arange(16_000) * 0.1 * (number + 1))
        write_wav(tmp_path / f"{name}.wav", tone.astype(np.float32))
    code = (
        "import os, sys; from vacli.cli.main import main; from vacli.steps import _batch\n"
        "real = _batch._attempt\n"
        "def attempt(key, name, work, *more, **options):\n"
        "    die = lambda: os.kill(os.getpid(), 11)\n"
        "    return real(key, name, die if name.endswith('bad.wav') else work, *more, **options)\n"
        "_batch._attempt = attempt; main(sys.argv[1:])"
    )
    has_excel = packages.installed("openpyxl")
    for command in (
        ["predict", "-o", "t.csv"],
        ["predict", "-o", "t.xlsx" if has_excel else "t.tsv"],
        ["predict", "-o", "out/"],
        ["predict", "-o", "side/", "--jobs", "3"],
        ["extract-audio", "-o", "s.zarr", "--feature", "egemaps"],
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, *command, "a.wav", "bad.wav", "c.wav"],
            cwd=tmp_path, env=ENV, text=True, capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1, done.stderr
        assert "bad.wav: the process that read it died (signal 11" in done.stderr
        assert ": 2 done, 1 failed" in done.stderr
    with open(tmp_path / "t.csv") as table:
        assert {row.rsplit(",")[-1] for row in table.read().split()} == {"input", "a.wav", "c.wav"}
    for folder in ("out", "side"):
        with open(tmp_path / folder / "index.csv", newline="") as table:
            statuses = {row["input"]: row["status"] for row in csv.DictReader(table)}
        assert statuses == {"a.wav": "complete", "bad.wav": "failed", "c.wav": "complete"}
    if has_excel:
        sheet = pytest.importorskip("openpyxl").load_workbook(tmp_path / "t.xlsx").active
        assert {row[-1] for row in sheet.iter_rows(values_only=True)} == {"input", "a.wav", "c.wav"}
    assert not [path for path in tmp_path.iterdir() if path.name.startswith((".t", "t.xlsx.jsonl"))]
    assert {path.name for path in (tmp_path / "s.zarr").iterdir() if path.is_dir()} == {"a", "c"}


def test_a_closed_reader_ends_the_command_without_a_failure(tmp_path):
    names = [str(number) for number in range(20_000)]  # more rows than a pipe holds
    (tmp_path / "names").write_text("\n".join(names))
    with open(tmp_path / "names") as stdin:
        process = start("crunch", "-", cwd=tmp_path, stdin=stdin, stderr=subprocess.DEVNULL)
    rows = [process.stdout.readline() for _ in range(3)]
    process.stdout.close()
    assert rows == ["header\n", "0 whole\n", "1 whole\n"]
    assert process.wait(100) == 0


def wait_for(stream, line: str) -> None:
    while (said := stream.readline()) != f"{line}\n":
        assert said, f"ended before {line!r}"


def group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
