"""Output formats: their endings, options, hostile names, and failed writes."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from synth.frame_tables import HOSTILE_NAMES, frame_table

from vacli.errors import OutputError, PackageMissing, UsageError
from vacli.output.columns import COLUMNS
from vacli.output.formats import (
    WRITERS,
    TableOptions,
    check_options,
    ending_of,
    parse_columns,
    write_file,
)
from vacli.output.frame_table import FrameTable
from vacli.output.table_reader import read_table_file
from vacli.packages import EXTRAS

ANNOTATIONS = [ending for ending, entry in WRITERS.items() if entry.one_recording]
TABLES = [ending for ending in WRITERS if ending not in ANNOTATIONS]
ALL = TableOptions()


@pytest.mark.parametrize("ending", WRITERS)
def test_the_ending_is_found_in_any_case_of_letters(ending):
    assert ending_of(Path(f"a/b{ending}")) == ending
    assert ending_of(Path(f"a/b{ending.upper()}")) == ending


@pytest.mark.parametrize("name", ["a.foo", "a.csv.gz", "csv", "a."])
def test_an_unknown_ending_is_refused_with_the_list(name):
    with pytest.raises(UsageError) as caught:
        ending_of(Path(name))
    line = caught.value.one_line()
    assert line.startswith(f"{name}: ")
    assert "\n" not in line
    assert all(ending in line for ending in WRITERS)


@pytest.mark.parametrize("ending", WRITERS)
def test_every_entry_is_complete(ending):
    entry = WRITERS[ending]
    assert entry.load().write.__doc__
    assert entry.help
    assert entry.package is None or entry.package in EXTRAS
    assert not (entry.by_row and entry.one_recording)


@pytest.mark.parametrize("ending", ANNOTATIONS)
def test_columns_of_annotations_are_refused(ending):
    with pytest.raises(UsageError, match="--columns has no effect on"):
        check_options(ending, TableOptions(columns=("valence",)))


@pytest.mark.parametrize("ending", [e for e in WRITERS if e not in (".csv", ".tsv")])
def test_decimal_commas_are_for_text_tables(ending):
    with pytest.raises(UsageError, match="--decimal-comma has no effect on"):
        check_options(ending, TableOptions(decimal_comma=True))


@pytest.mark.parametrize(("ending", "package"), [(".parquet", "pyarrow"), (".xlsx", "openpyxl")])
def test_a_missing_package_is_named_in_one_line(ending, package, monkeypatch):
    monkeypatch.setattr("vacli.packages.installed", lambda name: name != package)
    with pytest.raises(PackageMissing) as caught:
        check_options(ending, ALL)
    extra = EXTRAS[package]
    assert caught.value.one_line() == (
        f"{ending} output needs {package}, which is not installed; pip install 'vacli[{extra}]', or use .csv"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("valence,valance", "unknown column 'valance'; did you mean 'valence'?"),
        ("valence,valence", "valence is listed twice"),
        (" , ", "--columns is empty"),
    ],
)
def test_wrong_columns_are_refused(text, message):
    with pytest.raises(UsageError) as caught:
        parse_columns(text)
    assert message in caught.value.one_line()


def test_columns_are_parsed_in_their_order():
    assert parse_columns("valence, time_s") == ("valence", "time_s")


@pytest.mark.parametrize("ending", ANNOTATIONS)
def test_several_recordings_do_not_fit_into_annotations(ending, tmp_path):
    tables = [frame_table("a.mp4"), frame_table("b.mp4")]
    with pytest.raises(UsageError, match=f"a {ending} file holds one recording, and there are 2"):
        write_file(tables, tmp_path / f"x{ending}", ALL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ANNOTATIONS)
def test_annotations_need_valence_and_arousal(ending, tmp_path):
    table = FrameTable("a.mp4", {"time_s": frame_table().columns["time_s"]})
    with pytest.raises(UsageError, match="the table has no column valence, arousal"):
        write_file([table], tmp_path / f"x{ending}", ALL)


def require(ending: str) -> None:
    """Skip the test without the package that the format needs."""
    if WRITERS[ending].package:
        pytest.importorskip(WRITERS[ending].package)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
@pytest.mark.parametrize("ending", WRITERS)
def test_hostile_names_are_written(ending, name, tmp_path):
    require(ending)
    write_file([frame_table(name)], tmp_path / f"x{ending}", ALL)
    assert (tmp_path / f"x{ending}").stat().st_size


@pytest.mark.parametrize("ending", WRITERS)
def test_a_failed_write_leaves_the_old_file(ending, tmp_path, monkeypatch):
    require(ending)
    path = tmp_path / f"x{ending}"
    path.write_text("old")

    def fail(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OutputError):
        write_file([frame_table()], path, ALL)
    assert path.read_text() == "old"


@pytest.mark.parametrize("ending", WRITERS)
def test_tables_without_rows_are_written(ending, tmp_path):
    require(ending)
    empty = FrameTable("a.mp4", {name: array[:0] for name, array in frame_table().columns.items()})
    write_file([empty], tmp_path / f"x{ending}", ALL)
    assert (tmp_path / f"x{ending}").exists()


def row_text(ending: str, options: TableOptions, header: bool = True) -> str:
    out = io.StringIO()
    WRITERS[ending].row_writer(out, header, options).write(frame_table())
    return out.getvalue()


def test_selected_columns_keep_their_order():
    options = TableOptions(columns=("arousal", "input", "time_s"))
    lines = row_text(".csv", options).splitlines()
    assert lines[:2] == ["arousal,input,time_s", "0.3000,clips/a.mp4,0.000000"]
    assert json.loads(row_text(".jsonl", options).splitlines()[0]) == {
        "arousal": 0.3, "input": "clips/a.mp4", "time_s": 0.0,
    }  # fmt: skip


def test_tsv_has_tabs_between_the_cells_of_the_csv():
    assert row_text(".tsv", ALL) == row_text(".csv", ALL).replace(",", "\t")


def test_decimal_commas():
    options = TableOptions(columns=("time_s", "valence", "face_id", "input"), decimal_comma=True)
    plain = row_text(".csv", TableOptions(columns=options.columns)).splitlines()
    comma = row_text(".csv", options).splitlines()
    tabs = row_text(".tsv", options).splitlines()
    assert comma[0] == "time_s;valence;face_id;input"
    for before, after, tabbed in zip(plain[1:], comma[1:], tabs[1:], strict=True):
        *numbers, name = before.split(",")
        assert after == ";".join([*(cell.replace(".", ",") for cell in numbers), name])
        assert tabbed == after.replace(";", "\t")


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl"])
def test_text_tables_are_read_again_without_a_change(ending, tmp_path):
    write_file([frame_table("a.mp4", 0), frame_table("a.mp4", 1, seed=1)], tmp_path / f"x{ending}", ALL)
    file = read_table_file(tmp_path / f"x{ending}")
    assert file.columns == tuple(COLUMNS)
    assert [len(table) for table in file.tables] == [150, 150]
    write_file(file.tables, tmp_path / f"y{ending}", ALL)
    assert (tmp_path / f"y{ending}").read_bytes() == (tmp_path / f"x{ending}").read_bytes()
