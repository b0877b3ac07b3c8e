"""`va predict -o` by the ending of the file, and `va convert`, with a fixed prediction."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from pathlib import Path

import pytest
from synth.frame_tables import N_FRAMES, frame_table

from vacli.cli.main import run as va
from vacli.errors import OutputError
from vacli.output.columns import COLUMNS
from vacli.output.formats import WRITERS, TableOptions, write_file
from vacli.output.provenance import as_line, read_sidecar
from vacli.steps import predict


@pytest.fixture(autouse=True)
def step(monkeypatch, tmp_path):
    """`va predict` writes one fixed table for each input; an input `stop` ends it with an error."""
    monkeypatch.chdir(tmp_path)

    def run(settings, write, progress=None) -> predict.PredictBatch:
        batch = predict.PredictBatch(Path("run"))
        for path in settings.inputs:
            if path.name == "stop":
                raise OutputError("stopped")
            write(frame_table(str(path)))
            batch.done.append(str(path))
            batch.inputs.append({"name": path.name})
        return batch

    monkeypatch.setattr(predict, "run", run)


@pytest.mark.parametrize("ending", WRITERS)
def test_the_ending_selects_the_format(ending, capsys):
    if WRITERS[ending].package:
        pytest.importorskip(WRITERS[ending].package)
    assert va(["predict", "a.mp4", "-o", f"x{ending}"]) == 0
    assert capsys.readouterr() == ("", f"x{ending}: 1 done\n")
    line = as_line({k: v for k, v in read_sidecar(Path(f"x{ending}")).items() if k != "files"})
    write_file([frame_table("a.mp4")], Path(f"y{ending}"), TableOptions(provenance=line))
    if ending not in (".xlsx", ".eaf"):  # these have a date
        assert Path(f"x{ending}").read_bytes() == Path(f"y{ending}").read_bytes()
    assert not [name for name in os.listdir() if ".jsonl.va-" in name or name.startswith(".")]


@pytest.mark.parametrize("out", [[], ["-o", "-"]])
def test_stdout_is_csv(out, capsys):
    assert va(["predict", "a.mp4", "b.mp4", *out]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert (list(rows[0]), len(rows)) == (list(COLUMNS), 2 * N_FRAMES)


def test_json_on_stdout(capsys):
    assert va(["predict", "a.mp4", "--json", "--columns", "valence"]) == 0
    assert {tuple(json.loads(line)) for line in capsys.readouterr().out.splitlines()} == {("valence",)}


def test_rows_are_written_as_they_come(capsys):
    assert va(["predict", "a.mp4", "stop", "-o", "x.csv"]) == 1
    assert Path("x.csv.partial").read_text().count("a.mp4") == N_FRAMES


@pytest.mark.parametrize("ending", [ending for ending, entry in WRITERS.items() if not entry.by_row])
def test_rows_so_far_are_kept_after_an_error_and_can_be_converted(ending, capsys):
    if WRITERS[ending].package:
        pytest.importorskip(WRITERS[ending].package)
    Path(f"x{ending}").write_text("old")
    assert va(["predict", "a.mp4", "stop", "-o", f"x{ending}", "--force"]) == 1
    partial = f"x{ending}.jsonl.partial"
    assert f"{partial} has the rows so far; x{ending} is as it was before\n" in capsys.readouterr().err
    assert sorted(os.listdir()) == sorted([f"x{ending}", partial])
    assert va(["convert", partial, "--to", f"x{ending}", "--force"]) == 0
    assert capsys.readouterr().out == f"x{ending}\n"
    assert Path(f"x{ending}").read_bytes() != b"old"


def test_a_file_that_cannot_be_made_keeps_the_rows(monkeypatch, capsys):
    monkeypatch.setattr("vacli.output.xlsx_writer.MAX_ROWS", 10)
    pytest.importorskip("openpyxl")
    assert va(["predict", "a.mp4", "-o", "x.xlsx"]) == 1
    assert os.listdir() == ["x.xlsx.jsonl.partial"]
    assert (
        "an Excel sheet holds 10 rows, and there are 151; write .parquet or .csv" in capsys.readouterr().err
    )


def test_an_explicit_format_allows_any_other_ending(capsys):
    assert va(["predict", "a.mp4", "--json", "-o", "x.txt"]) == 0
    assert json.loads(Path("x.txt").read_text().splitlines()[0])["input"] == "a.mp4"


def test_summaries_with_tabs_and_decimal_commas(capsys):
    assert va(["predict", "a.mp4", "-o", "x.tsv", "--summary", "--decimal-comma"]) == 0
    header, row = (line.split("\t") for line in Path("x.tsv").read_text().splitlines())
    assert dict(zip(header, row, strict=True))["duration_s"] == "6,0000"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("a.mp4 -o x.foo", "x.foo: unknown ending '.foo'; known: .csv (comma-separated text), .tsv"),
        ("a.mp4 -o x", "x: the name has no ending; known: .csv"),
        ("a.mp4 -o x.csv --json", "x.csv does not end with .jsonl; leave out --csv and --json"),
        ("a.mp4 -o x.jsonl --summary", "--summary is a text table, not .jsonl"),
        ("a.mp4 --json --summary", "--summary is a text table, not .jsonl"),
        ("a.mp4 --summary --columns valence", "--summary has columns of its own"),
        ("a.mp4 --json --decimal-comma", "--decimal-comma has no effect on .jsonl"),
        ("a.mp4 --columns valance", "unknown column 'valance'; did you mean 'valence'?"),
        ("a.mp4 -o x.eaf --columns valence", "--columns has no effect on .eaf; leave it out"),
        (
            "a.mp4 -o x.csv --also foo",
            "--also: unknown ending 'foo'; known: .csv (comma-separated text)",
        ),
        (
            "a.mp4 -o out/ --also foo",
            "--also: unknown ending 'foo'; known: .csv (comma-separated text)",
        ),
        ("a.mp4 --also .eaf", "--also needs an output file or folder; name it with -o"),
        ("a.mp4 -o x.csv --also .eaf --summary", "--summary has no effect on the files of --also"),
        ("a.mp4 -o out/ --summary", "--summary has no effect with a folder; its index.csv has the summaries"),
        ("a.mp4 -o x.csv --jobs 2", "--jobs needs an output folder; name one with -o, such as -o out/"),
    ],
)
def test_wrong_outputs_are_refused_in_one_line(arguments, message, capsys):
    assert va(["predict", *arguments.split()]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert message in err
    assert os.listdir() == []


@pytest.mark.parametrize("file", ["x.csv", "x.vtt", "x.eaf", "x_curves.csv"])
def test_an_existing_file_needs_force(file, capsys):
    Path(file).write_text("mine")
    arguments = ["predict", "a.mp4", "-o", "x.csv", "--also", "vtt", "--also", ".eaf"]
    assert va(arguments) == 1
    assert capsys.readouterr().err == (
        f"va: {file} exists; use --force to replace it, or name another file\n"
    )
    assert Path(file).read_text() == "mine"
    assert os.listdir() == [file]
    assert va([*arguments, "--force"]) == 0
    assert Path(file).read_text() != "mine"


def test_further_files_lie_beside_the_table(capsys):
    assert (
        va(["predict", "a.mp4", "-o", "x.csv", "--also", "vtt", "--also", ".eaf", "--columns", "time_s"]) == 0
    )
    assert sorted(os.listdir()) == sorted(
        ["x.csv", "x.csv.provenance.json", "x.eaf", "x.vtt", "x_curves.csv", "x_tsconf.xml"]
    )
    assert Path("x.csv").read_text().splitlines()[:2] == ["time_s", "0.000000"]
    write_file([frame_table("a.mp4")], Path("y.vtt"), TableOptions())
    made, expected = (Path(f"{name}.vtt").read_text().split("\n\n") for name in "xy")
    assert [block for block in made if not block.startswith("NOTE va_provenance ")] == expected


def test_the_provenance_lists_inputs_and_digests(capsys):
    assert va(["predict", "a.mp4", "-o", "x.csv", "--also", "vtt", "--face", "all"]) == 0
    made = json.loads(Path("x.csv.provenance.json").read_text())
    assert made["inputs"] == [{"name": "a.mp4"}]
    assert made["settings"]["face"] == "all"
    assert made["files"] == {
        name: hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in ("x.csv", "x.vtt")
    }


def test_stdout_has_no_provenance(capsys):
    assert va(["predict", "a.mp4"]) == 0
    assert os.listdir() == []


def test_converting_prints_the_path(capsys):
    write_file([frame_table("a.mp4")], Path("t.csv"), TableOptions())
    assert va(["convert", "t.csv", "--to", "t.vtt"]) == 0
    assert capsys.readouterr() == ("t.vtt\n", "")


def test_another_table_is_refused_in_one_line(capsys):
    Path("t.csv").write_text("a,b\n1,2\n")
    assert va(["convert", "t.csv", "--to", "t.vtt"]) == 1
    assert capsys.readouterr().err == (
        "va: t.csv: line 1: no column time_s; it must be a table of `va predict`\n"
    )
