"""The table of a live run is whole, whatever ends the process."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from synth import live_runs
from synth.live_runs import rows_of

import vacli
from vacli.errors import OutputError
from vacli.output.columns import LIVE_COLUMNS
from vacli.output.live.row_file import RowFile
from vacli.output.live.rows import RowText
from vacli.output.table_reader import read_table_file


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_process_leaves_all_rows_that_it_reported(tmp_path):
    path = tmp_path / "live.csv"
    places = [str(Path(vacli.__file__).parents[1]), str(Path(live_runs.__file__).parents[1])]
    with subprocess.Popen(
        [sys.executable, live_runs.__file__, str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        text=True,
    ) as process:
        for _ in range(200):
            last = int(process.stdout.readline())
        process.kill()
    one, other = (table.columns["frame"].tolist() for table in read_table_file(path).tables)
    assert one[-1] >= last
    assert one == other == list(range(one[-1] + 1))
    assert path.read_text().endswith("\n")


def test_a_part_of_a_row_that_did_not_fit_on_the_disk_is_removed(tmp_path, monkeypatch):
    file = RowFile(tmp_path / "live.csv", RowText(".csv"))
    file.write(rows_of([0]))
    whole, plain, calls = (tmp_path / "live.csv").read_bytes(), os.write, []

    def full(fd: int, data: memoryview) -> int:
        calls.append(fd)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "no space left on device")
        return plain(fd, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OutputError, match=r"live\.csv"):
        file.write(rows_of([1]))
    monkeypatch.undo()
    assert (tmp_path / "live.csv").read_bytes() == whole
    file.write(rows_of([1]))
    file.close()
    (table,) = read_table_file(tmp_path / "live.csv").tables
    assert table.columns["frame"].tolist() == [0, 1]


def test_rows_are_in_the_file_at_once(tmp_path):
    file = RowFile(tmp_path / "live.csv", RowText(".csv"))
    file.write(rows_of([0], valence=[0.5], flag=["gap"]))
    file.write(rows_of([]))
    header, row = (tmp_path / "live.csv").read_text().splitlines()
    assert header.split(",") == list(LIVE_COLUMNS)
    cells = dict(zip(header.split(","), row.split(","), strict=True))
    assert (cells["valence"], cells["latency_s"], cells["flag"]) == ("0.5000", "0.0500", "gap")
    file.close()


def test_json_lines_have_flags_as_text_and_numbers_as_numbers():
    text = RowText(".jsonl", ("frame", "latency_s", "flag")).of(rows_of([3], flag=["gap+dropped"]).table)
    assert text == '{"frame": 3, "latency_s": 0.05, "flag": "gap+dropped"}\n'


def test_file_that_cannot_be_written_is_an_output_error(tmp_path):
    (tmp_path / "live.csv").mkdir()
    with pytest.raises(OutputError):
        RowFile(tmp_path / "live.csv", RowText(".csv"))
