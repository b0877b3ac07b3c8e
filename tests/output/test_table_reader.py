"""Tables of `va predict` are read with all columns; other tables are refused in one line."""

from __future__ import annotations

import numpy as np
import pytest
from synth.frame_tables import HOSTILE_NAMES, N_FRAMES, frame_table

from vacli.errors import InputError
from vacli.output.columns import COLUMNS
from vacli.output.formats import TableOptions, write_file
from vacli.output.frame_table import FLAGS, TEXTS, decimals
from vacli.output.table_reader import read_table_file
from vacli.output.writers import path_cell

TEXT_TABLES = [
    (".csv", TableOptions()),
    (".csv", TableOptions(decimal_comma=True)),
    (".tsv", TableOptions()),
    (".tsv", TableOptions(decimal_comma=True)),
    (".jsonl", TableOptions()),
]


@pytest.mark.parametrize(("ending", "options"), TEXT_TABLES)
def test_all_columns_are_read(ending, options, tmp_path):
    written = frame_table()
    write_file([written], tmp_path / f"x{ending}", options)
    file = read_table_file(tmp_path / f"x{ending}")
    (table,) = file.tables
    assert (table.name, file.columns, file.ignored) == (written.name, tuple(COLUMNS), ())
    assert list(table.columns) == [name for name in COLUMNS if name != "input"]
    for name, array in table.columns.items():
        expected = written.columns[name]
        if name in TEXTS:
            assert array.tolist() == expected.tolist()
        else:
            assert array.dtype.kind == expected.dtype.kind
            exact = name in FLAGS or expected.dtype.kind == "i"
            np.testing.assert_allclose(
                array, expected, rtol=0, atol=0 if exact else 0.51 * 10 ** -decimals(name)
            )


def test_the_content_decides_the_format(tmp_path):
    write_file([frame_table()], tmp_path / "x.jsonl", TableOptions())
    (tmp_path / "x.jsonl").rename(tmp_path / "x.parquet.partial")
    assert len(read_table_file(tmp_path / "x.parquet.partial").tables[0]) == N_FRAMES


@pytest.mark.parametrize("name", HOSTILE_NAMES)
@pytest.mark.parametrize(("ending", "options"), TEXT_TABLES)
def test_hostile_names_are_read_again(ending, options, name, tmp_path):
    write_file([frame_table(name), frame_table("b.mp4")], tmp_path / f"x{ending}", options)
    first, second = read_table_file(tmp_path / f"x{ending}").tables
    assert first.name == (name if ending == ".jsonl" else path_cell(name))
    assert (second.name, len(first), len(second)) == ("b.mp4", N_FRAMES, N_FRAMES)


def test_faces_and_inputs_are_separate_tables(tmp_path):
    tables = [frame_table("a.mp4", 0), frame_table("a.mp4", 2), frame_table("b.mp4", -1)]
    write_file(tables, tmp_path / "x.csv", TableOptions())
    read = read_table_file(tmp_path / "x.csv").tables
    assert [(t.name, int(t.columns["face_id"][0])) for t in read] == [
        ("a.mp4", 0),
        ("a.mp4", 2),
        ("b.mp4", -1),
    ]


def test_a_table_of_some_columns_is_named_after_its_file(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("\ufefftime_s,valence,notes\r\n0.0,0.25,x\r\n0.5,,y\r\n")
    file = read_table_file(path)
    assert (file.columns, file.ignored, file.tables[0].name) == (("time_s", "valence"), ("notes",), str(path))
    np.testing.assert_array_equal(file.tables[0].columns["valence"], [0.25, np.nan])
    assert file.tables[0].valid.tolist() == [True, True]


def test_columns_of_earlier_versions_are_read(tmp_path):
    (tmp_path / "x.csv").write_text(
        "time_s,face_ok,audio_ok,modality,valence_sd,arousal_sd,person\n0,1,0,v,0.1,0.2,\n1,1,1,av,0.1,0.2,\n"
    )
    (table,) = read_table_file(tmp_path / "x.csv").tables
    assert table.columns["face_detected"].tolist() == [True, True]
    assert table.columns["audio_present"].tolist() == [False, True]
    assert table.columns["modality"].tolist() == ["visual", "audiovisual"]
    assert table.columns["arousal_uncertainty"].tolist() == [0.2, 0.2]
    assert table.columns["face_id"].tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column time_s"),
        ("input,valence_mean\na,0.1\n", "no column time_s"),
        ("time_s,valence\n", "the table has no rows"),
        ("time_s,valence,valence\n0,1,1\n", "line 1: the column valence is there twice"),
        ("time_s,valence\n0,1,2\n", "line 2: 3 cells instead of 2"),
        ("time_s,valence\n0,x\n", "row 1: valence 'x' is not a number"),
        ("time_s,valence\n0,1\n,1\n", "row 2: time_s is missing"),
        ("time_s,valence\n0,\n1,-3.36\n", "row 2: valence -3.36 is outside"),
        ("time_s,arousal\n0,inf\n", "row 1: arousal inf is outside"),
        ("time_s,valence\n1,1\n0,1\n", "do not ascend"),
        ("time_s,valence\n1,1\n1,1\n", "do not ascend"),
        ("time_s,face_id\n1,99999999999999999999\n", "too large"),
        ("time_s,face_detected\n1,yes\n", "row 1: face_detected 'yes' is none of 0, 1"),
        ("time_s,modality\n1,touch\n", "row 1: modality 'touch' is none of none, audiovisual, visual, audio"),
        ('time_s,input\n0,"a\n', "unexpected end of data"),
        ('{"time_s": 0}\n{"time_s": 1', "line 2 is not a JSON object"),
        ('{"time_s": ' + "[" * 100_000, "line 1 is not a JSON object"),
        ('{"time_s": 0}\n[1]', "line 2 is not a JSON object"),
        ('{"time_s": 0}\n{"t": 1}', "line 2: other names than in the first line"),
    ],
)
def test_other_tables_are_refused_in_one_line(text, message, tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_table_file(path)
    line = caught.value.one_line()
    assert line.startswith(f"{path}: ")
    assert message in line
    assert "\n" not in line


def test_tables_in_utf_16_are_read_and_spreadsheets_are_named(tmp_path):
    write_file([frame_table()], tmp_path / "x.csv", TableOptions())
    text = (tmp_path / "x.csv").read_text()
    (tmp_path / "y.csv").write_text(text, encoding="utf-16")
    one, other = (read_table_file(tmp_path / name).tables[0] for name in ("x.csv", "y.csv"))
    np.testing.assert_array_equal(one.columns["valence"], other.columns["valence"])
    for content in (b"PK\x03\x04 of Excel", b"PAR1 of Parquet"):
        (tmp_path / "z.csv").write_bytes(content)
        with pytest.raises(InputError, match=r"z\.csv is a spreadsheet, Parquet or an archive"):
            read_table_file(tmp_path / "z.csv")


def test_names_in_a_table_that_excel_saved_are_read(tmp_path):
    (tmp_path / "x.csv").write_bytes("time_s;valence;input\r\n0;0,5;J\xfcrgen.mp4\r\n".encode("cp1252"))
    (table,) = read_table_file(tmp_path / "x.csv").tables
    assert (table.name, table.columns["valence"].tolist()) == ("J\xfcrgen.mp4", [0.5])


def test_a_file_that_cannot_be_opened_is_refused(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_table_file(tmp_path / "x.csv")
