"""The table of a prediction: one row a frame, what is unknown empty, equal as CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vacli.output.columns import COLUMNS
from vacli.output.frame_table import FrameTable, modality
from vacli.output.writers import CsvWriter, JsonWriter, SummaryWriter


@pytest.fixture
def table():
    face, sound = np.array([True, False]), np.array([True, True])
    nan = np.array([1.0, np.nan])
    columns = {name: np.array([0.25, -0.5]) for name in COLUMNS if name != "input"}
    columns |= dict.fromkeys(
        ("face_score", "face_x", "face_y", "face_w", "face_h", "valence_uncertainty"), nan
    )
    columns |= {"frame": np.arange(2), "time_s": np.array([0.0, 1 / 30]), "face_id": np.array([0, -1])}
    columns |= {"speech_present": np.array([0, 1]), "speaking": np.array([1, -1])}
    columns |= {"quality_limit": np.array(["", "sound_level"])}
    columns |= {"face_detected": face, "audio_present": sound, "modality": modality(face, sound)}
    return FrameTable("a, b.mp4", columns)


def test_csv(table):
    out = io.StringIO()
    CsvWriter(out).write(table)
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert list(rows[0]) == list(COLUMNS)
    assert [r["time_s"] for r in rows] == ["0.000000", "0.033333"]
    assert [r["face_detected"] for r in rows] == ["1", "0"]
    assert [r["modality"] for r in rows] == ["audiovisual", "audio"]
    assert [r["face_id"] for r in rows] == ["0", ""]
    assert [r["speaking"] for r in rows] == ["1", ""]
    assert [r["face_x"] for r in rows] == ["1.0", ""]
    assert {r["input"] for r in rows} == {"a, b.mp4"}


def test_json_has_the_values_of_the_csv(table):
    out = io.StringIO()
    JsonWriter(out).write(table)
    rows = [json.loads(line) for line in out.getvalue().splitlines()]
    assert rows[1]["valence"] == -0.5
    assert rows[1]["face_id"] is None
    assert rows[0]["face_detected"] == 1


def test_summary(table):
    out = io.StringIO()
    SummaryWriter(out).write(table)
    (row,) = csv.DictReader(io.StringIO(out.getvalue()))
    assert (row["face_id"], row["frames"]) == ("0", "2")
    assert row["valence_mean"] == "-0.1250"
    assert (row["face_fraction"], row["audio_fraction"], row["valid_fraction"]) == (
        "0.5000",
        "1.0000",
        "1.0000",
    )


def test_frames_without_modality_are_in_no_mean(table):
    partly = replace(table, columns={**table.columns, "modality": np.array(["audiovisual", "none"])})
    row = partly.summary()
    assert (row["valence_mean"], row["valence_sd"], row["valid_fraction"]) == (0.25, 0.0, 0.5)
    nowhere = replace(table, columns={**table.columns, "modality": np.array(["none", "none"])})
    row = nowhere.summary()
    assert (row["valence_mean"], row["arousal_sd"], row["valid_fraction"]) == ("", "", 0.0)
    empty = replace(table, columns={name: column[:0] for name, column in table.columns.items()})
    assert (empty.summary()["valence_mean"], empty.summary()["valid_fraction"]) == ("", 0.0)
    assert list(empty.summary()) == list(row)


def test_unsupported_frames_have_empty_values(table):
    partly = replace(table, columns={**table.columns, "modality": np.array(["audiovisual", "none"])})
    out = io.StringIO()
    CsvWriter(out).write(partly.without_unsupported())
    first, second = csv.DictReader(io.StringIO(out.getvalue()))
    assert (first["valence"], first["arousal"], first["valence_uncertainty"]) == (
        "0.2500",
        "0.2500",
        "1.0000",
    )
    blank = ("valence", "arousal", "valence_uncertainty", "arousal_uncertainty")
    assert {second[name] for name in blank} == {""}
    assert second["time_s"] == "0.033333"
    assert partly.without_unsupported().summary() == partly.summary()
    assert partly.columns["valence"][1] == -0.5, "the table itself is unchanged"


def test_modality_names_the_streams_of_a_row():
    face = np.array([True, True, False, False])
    sound = np.array([True, False, True, False])
    assert modality(face, sound).tolist() == ["audiovisual", "visual", "audio", "none"]


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=cmd|' /C calc'!A0.mp4", "./=cmd|' /C calc'!A0.mp4"),
        ("+1.mp4", "./+1.mp4"),
        ("-1.mp4", "./-1.mp4"),
        ("@x.mp4", "./@x.mp4"),
        ("\tx.mp4", "./\tx.mp4"),
        ("\rx.mp4", "./\rx.mp4"),
        ("/a/=x.mp4", "/a/=x.mp4"),
        ("two\nlines.mp4", "two\nlines.mp4"),
        ("cr\rx.mp4", "cr\rx.mp4"),
        ('a"b.mp4', 'a"b.mp4'),
        ("caf\udce9.mp4", "caf\udce9.mp4"),
    ],
)
@pytest.mark.parametrize("kind", [CsvWriter, SummaryWriter])
def test_no_name_is_a_formula_or_breaks_a_row(name, cell, kind, table):
    out = io.StringIO()
    kind(out).write(replace(table, name=name))
    rows = list(csv.DictReader(io.StringIO(out.getvalue(), newline="")))
    assert {row["input"] for row in rows} == {cell}
    assert Path(cell).resolve() == Path(name).resolve(), "it is still the path of the file"
    out = io.StringIO()
    JsonWriter(out).write(replace(table, name=name))
    assert {json.loads(line)["input"] for line in out.getvalue().splitlines()} == {name}


def test_a_continued_table_has_no_second_header(table):
    out = io.StringIO()
    CsvWriter(out).write(table)
    CsvWriter(out, header=False).write(table)
    assert len(list(csv.DictReader(io.StringIO(out.getvalue())))) == 4
    out = io.StringIO()
    SummaryWriter(out, header=False).write(table)
    assert len(out.getvalue().splitlines()) == 1
