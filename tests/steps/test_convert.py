"""`va convert`: the same file as `va predict -o` from an existing table."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from synth.frame_tables import N_FRAMES, frame_table

from vacli.errors import InputError, OutputError, UsageError
from vacli.output.formats import WRITERS, TableOptions, write_file
from vacli.output.index_table import INDEX_FILE, IndexEntry, index_lines
from vacli.output.provenance import digests_of, read_sidecar, write_sidecar
from vacli.output.table_reader import read_table_file
from vacli.output.trajectory_filter import Filter
from vacli.progress import RecordingProgress
from vacli.steps.convert import ConvertSettings, run

BY_ROW = [ending for ending, entry in WRITERS.items() if entry.by_row]


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "va.csv"
    write_file([frame_table("a.mp4"), frame_table("b/c.mp4")], path, TableOptions())
    return path


@pytest.mark.parametrize("ending", BY_ROW)
def test_a_converted_table_equals_a_written_one(ending, table, tmp_path):
    out = tmp_path / f"out{ending}"
    assert run(ConvertSettings(table=table, out=out)) == out
    write_file([frame_table("a.mp4"), frame_table("b/c.mp4")], tmp_path / f"direct{ending}", TableOptions())
    assert out.read_bytes() == (tmp_path / f"direct{ending}").read_bytes()


@pytest.mark.parametrize("recording", ["b/c.mp4", "c.mp4", "c"])
@pytest.mark.parametrize("ending", WRITERS)
def test_one_recording_is_selected_by_path_or_name(ending, recording, table, tmp_path):
    if WRITERS[ending].package:
        pytest.importorskip(WRITERS[ending].package)
    out = tmp_path / f"out{ending}"
    run(ConvertSettings(table=table, out=out, recording=recording))
    assert out.stat().st_size
    if ending in BY_ROW:
        assert out.read_text().count("c.mp4") == N_FRAMES
        assert "a.mp4" not in out.read_text()


def test_selected_columns_and_decimal_commas(table, tmp_path):
    out = tmp_path / "out.csv"
    run(ConvertSettings(table=table, out=out, columns="arousal,time_s", decimal_comma=True))
    assert out.read_text().splitlines()[:2] == ["arousal;time_s", "0,3000;0,000000"]


def test_a_table_keeps_its_selection_of_columns(table, tmp_path):
    some = ConvertSettings(table=table, out=tmp_path / "some.csv", columns="time_s,valence", recording="c")
    run(some)
    run(ConvertSettings(table=tmp_path / "some.csv", out=tmp_path / "out.tsv"))
    assert (tmp_path / "out.tsv").read_text().splitlines()[0] == "time_s\tvalence"


def folder_of(folder, **tables):
    """Write an output folder of `va predict`. tables: stem -> FrameTable."""
    folder.mkdir()
    for stem, one in tables.items():
        write_file([one], folder / f"{stem}.csv", TableOptions())
    entries = [IndexEntry(f"{stem}.csv", one.name, [one.summary()]) for stem, one in tables.items()]
    (folder / INDEX_FILE).write_text("".join(index_lines(entries, TableOptions())))
    return folder


@pytest.mark.parametrize("name", ["", INDEX_FILE])
def test_the_tables_of_a_folder_are_joined(name, table, tmp_path):
    folder = folder_of(tmp_path / "out", a=frame_table("a.mp4"), c=frame_table("b/c.mp4"))
    (folder / "other.csv").write_text("not in the index\n")
    out = tmp_path / "joined.csv"
    run(ConvertSettings(table=folder / name, out=out))
    assert out.read_bytes() == table.read_bytes()
    assert [one["name"] for one in read_sidecar(out)["inputs"]] == ["a.csv", "c.csv"]


def test_tables_of_other_columns_are_not_joined(tmp_path):
    folder = folder_of(tmp_path / "out", a=frame_table("a.mp4"), c=frame_table("b/c.mp4"))
    write_file([frame_table("b/c.mp4")], folder / "c.csv", TableOptions(("time_s", "input")))
    with pytest.raises(InputError, match=r"c\.csv: other columns than the tables before it: arousal, "):
        run(ConvertSettings(table=folder, out=tmp_path / "joined.csv"))


@pytest.mark.parametrize("index", [None, ""])
def test_a_folder_without_tables_is_an_error(index, tmp_path):
    if index is not None:
        (tmp_path / INDEX_FILE).write_text("".join(index_lines([], TableOptions())))
    with pytest.raises(InputError, match="has no complete table"):
        run(ConvertSettings(table=tmp_path, out=tmp_path / "joined.csv"))


def test_a_table_can_replace_itself(table):
    before = table.read_bytes()
    with pytest.raises(OutputError, match=r"va\.csv exists"):
        run(ConvertSettings(table=table, out=table))
    run(ConvertSettings(table=table, out=table, force=True))
    assert table.read_bytes() == before


@pytest.mark.parametrize("name", ["x.eaf", "x_curves.csv"])
def test_an_existing_file_needs_force(name, table, tmp_path):
    (tmp_path / name).write_text("mine")
    settings = ConvertSettings(table=table, out=tmp_path / "x.eaf", recording="c")
    with pytest.raises(OutputError, match=f"{name} exists"):
        run(settings)
    assert (tmp_path / name).read_text() == "mine"
    run(replace(settings, force=True))
    assert (tmp_path / name).read_text() != "mine"


@pytest.mark.parametrize("ending", [".parquet", ".eaf", ".vtt"])
def test_files_with_a_place_for_it_carry_the_provenance(ending, tmp_path):
    if WRITERS[ending].package:
        pytest.importorskip(WRITERS[ending].package)
    table = tmp_path / "a --> b.csv"
    write_file([frame_table("a.mp4")], table, TableOptions())
    out = tmp_path / f"x{ending}"
    run(ConvertSettings(table=table, out=out))
    made = {name: value for name, value in read_sidecar(out).items() if name != "files"}
    if ending == ".parquet":
        from pyarrow import parquet

        text = parquet.read_schema(out).metadata[b"va_provenance"].decode()
    elif ending == ".eaf":
        text = ElementTree.parse(out).find("HEADER/PROPERTY[@NAME='va_provenance']").text
    else:
        (line,) = [line for line in out.read_text().split("\n") if line.startswith("NOTE va_provenance ")]
        assert "-->" not in line, "it would end the comment"
        text = line.removeprefix("NOTE va_provenance ").replace("-- >", "-->")
    assert json.loads(text) == made


def test_the_provenance_has_that_of_the_table(table, tmp_path):
    source = {"va": "0.2.0", "inputs": [{"name": "a.mp4"}], "files": digests_of({table.name: table})}
    write_sidecar(table, {**source, "summaries": []})
    run(ConvertSettings(table=table, out=tmp_path / "x.tsv"))
    made = read_sidecar(tmp_path / "x.tsv")
    assert made["files"] == digests_of({"x.tsv": tmp_path / "x.tsv"})
    assert made["inputs"][0]["name"] == "va.csv"
    assert made["inputs"][0]["provenance"] == source
    table.write_text(table.read_text().rsplit("\n", 2)[0] + "\n")  # without its last row
    run(ConvertSettings(table=table, out=tmp_path / "y.tsv"))
    assert "provenance" not in read_sidecar(tmp_path / "y.tsv")["inputs"][0], "the table was changed"


@pytest.mark.parametrize(
    ("out", "more", "error", "message"),
    [
        ("x.foo", {}, UsageError, "unknown ending '.foo'"),
        (
            "x.eaf",
            {},
            UsageError,
            "a .eaf file holds one recording, and there are 2; name one with `va convert",
        ),
        ("x.csv", {"recording": "d"}, InputError, "va.csv has no input 'd'; it has "),
        ("x.csv", {"columns": "valance"}, UsageError, "unknown column 'valance'"),
        ("x.vtt", {"columns": "valence"}, UsageError, "--columns has no effect on .vtt"),
        ("x.parquet", {"decimal_comma": True}, UsageError, "--decimal-comma has no effect on .parquet"),
    ],
)
def test_refusals_are_one_line_and_write_nothing(out, more, error, message, table, tmp_path):
    with pytest.raises(error) as caught:
        run(ConvertSettings(table=table, out=tmp_path / "new" / out, **more))
    assert message in caught.value.one_line()
    assert not (tmp_path / "new").exists()


def test_absent_columns_are_refused_and_unknown_ones_reported(tmp_path):
    (tmp_path / "t.csv").write_text("time_s,notes\n0,x\n")
    progress = RecordingProgress()
    with pytest.raises(UsageError, match="has no column valence"):
        run(ConvertSettings(table=tmp_path / "t.csv", out=tmp_path / "x.tsv", columns="valence"), progress)
    assert progress.warnings == [f"{tmp_path}/t.csv: the columns notes are left out"]


def test_tables_are_smoothed_and_resampled_with_the_settings_in_the_provenance(table, tmp_path):
    out = tmp_path / "slow.csv"
    run(ConvertSettings(table=table, out=out, smooth_s=0.5, rate_hz=5.0))
    (first, *_), (given, *_) = read_table_file(out).tables, read_table_file(table).tables
    np.testing.assert_allclose(np.diff(first.columns["time_s"]), 0.2)
    assert len(first) == len(given) // 5
    expected = Filter(0.5, 5.0)(given).columns["valence"]
    np.testing.assert_allclose(first.columns["valence"], expected, atol=1e-4)
    assert read_sidecar(out)["settings"] == {"smooth_s": 0.5, "rate_hz": 5.0}


def test_elan_opens_the_recording_beside_the_table(table, tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    asked = ConvertSettings(table=table, out=tmp_path / "c.eaf", recording="c")
    progress = RecordingProgress()
    run(asked, progress)
    assert progress.warnings == ["b/c.mp4 is not here, so that ELAN will ask for it"]
    (tmp_path / "c.mp4").write_bytes(b"")
    progress = RecordingProgress()
    run(replace(asked, force=True), progress)
    assert progress.warnings == []
    (media,) = ElementTree.parse(tmp_path / "c.eaf").getroot().iter("MEDIA_DESCRIPTOR")
    assert media.get("RELATIVE_MEDIA_URL") == "./c.mp4"
