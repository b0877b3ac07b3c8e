"""`va summarize` on the command line: durations, stdout and files."""

from __future__ import annotations

import re

import click
import pytest
from click.testing import CliRunner
from synth.frame_tables import frame_table

from vacli.cli import summaries
from vacli.cli.main import va
from vacli.cli.options import seconds
from vacli.output.formats import TableOptions, write_file


@pytest.mark.parametrize(
    ("text", "expected"), [("0.5s", 0.5), ("0.5", 0.5), ("200ms", 0.2), ("1min", 60.0), ("2 h", 7200.0)]
)
def test_durations_have_units(text, expected):
    assert seconds(None, None, text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "s", "1:00", "-1s", "nan", "1e3"])
def test_other_texts_are_no_durations(text):
    with pytest.raises(click.BadParameter, match="is not a duration; write"):
        seconds(None, None, text)


def test_rows_go_to_stdout_or_to_a_file(tmp_path):
    write_file([frame_table()], tmp_path / "va.csv", TableOptions())
    shown = CliRunner().invoke(va, ["summarize", str(tmp_path / "va.csv"), "--bin", "2s"])
    assert shown.exit_code == 0
    assert [line.split(",")[2] for line in shown.stdout.splitlines()] == [
        "start_s",
        "0.000",
        "2.000",
        "4.000",
    ]
    out = tmp_path / "s.tsv"
    written = CliRunner().invoke(va, ["summarize", str(tmp_path / "va.csv"), "--bin", "2s", "-o", str(out)])
    assert written.stdout == f"{out}\n"
    assert out.read_text() == shown.stdout.replace(",", "\t")


def test_a_terminal_gets_a_table_of_its_width(monkeypatch, capsys, tmp_path):
    write_file([frame_table()], tmp_path / "va.csv", TableOptions())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(summaries.sys.stdout, "isatty", lambda: True)
    for more in ([], ["--wide"]):
        va.main(["summarize", "va.csv", "--bin", "2s", *more], standalone_mode=False)
        lines = re.sub("\x1b[^m]*m", "", capsys.readouterr().out).splitlines()
        words = {word for line in lines for word in line.split()}
        assert {"start_s", "valence_q10", "arousal_effective_n", "arousal_peaks_per_min"} <= words
        assert (max(map(len, lines)) <= 60) == (not more)


def test_only_a_face_that_is_given_selects_from_a_table(tmp_path):
    tables = [frame_table(face_id=number, seed=number) for number in (0, 1)]
    write_file(tables, tmp_path / "va.csv", TableOptions())
    for more, expected in (([], {"0", "1"}), (["--face", "1"], {"1"}), (["--face", "all"], {"0", "1"})):
        shown = CliRunner().invoke(va, ["summarize", str(tmp_path / "va.csv"), *more])
        assert {line.split(",")[1] for line in shown.stdout.splitlines()[1:]} == expected
    shown = CliRunner().invoke(va, ["summarize", str(tmp_path / "va.csv"), "--face", "largest"])
    assert len(shown.stdout.splitlines()) == 2, "the default, but given"
    shown = CliRunner().invoke(va, ["summarize", str(tmp_path / "va.csv"), "--device", "cpu"])
    assert "--device: no effect" in shown.stderr
