"""Rows as compact arrays for a page."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from synth.frame_tables import frame_table

from vacli.output.annotations import face_tiers
from vacli.output.frame_table import FrameTable, modality
from vacli.output.report.packing import MISSING, MODALITIES, UNKNOWN, pack_faces


def unpacked(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind)


def packed(*tables: FrameTable) -> dict:
    return json.loads(json.dumps(pack_faces(face_tiers(tables))))


def test_values_and_times_come_back_within_their_units():
    table = frame_table()
    (face,) = packed(table)["faces"]
    np.testing.assert_allclose(unpacked(face["time"], "<u4") * 1e-4, table.columns["time_s"], atol=5e-5)
    for name in ("valence", "arousal", "valence_uncertainty"):
        units = unpacked(face[name], "<i2")
        assert (units == MISSING).tolist() == (~table.valid).tolist()
        np.testing.assert_allclose(units[table.valid] * 1e-4, table.columns[name][table.valid], atol=5e-5)
    assert (face["rows"], face["label"], face["arousal_uncertainty"]) == (150, "", None)


def test_modalities_are_runs_of_rows():
    data = packed(frame_table())
    assert [(start, data["modalities"][code]) for start, code in data["faces"][0]["modality"]] == [
        (0, "audiovisual"),
        (100, "none"),
        (125, "visual"),
    ]
    assert data["end_s"] == pytest.approx(6.0)


def test_a_gap_of_the_recording_is_a_row_without_values():
    table = frame_table()
    table.columns["time_s"][75:] += 20
    data = packed(table)
    (face,) = data["faces"]
    assert face["rows"] == 151
    times_s = unpacked(face["time"], "<u4") * 1e-4
    assert times_s[75] == pytest.approx(times_s[74] + 1.0)  # a frame is shown for 1 s at most
    assert unpacked(face["valence"], "<i2")[75] == MISSING
    assert (unpacked(face["box"], "<i2").reshape(-1, 4)[75] == MISSING).all()
    runs = [(start, data["modalities"][code]) for start, code in face["modality"]]
    assert runs[:3] == [(0, "audiovisual"), (75, "no frames"), (76, "audiovisual")]
    assert unpacked(face["valence"], "<i2")[76] == round(table.columns["valence"][75] / 1e-4)


def test_a_table_of_a_trajectory_only_is_packed():
    table = FrameTable("a", {name: np.linspace(0, 1, 5) for name in ("time_s", "valence", "arousal")})
    data = packed(table)
    assert data["faces"][0]["modality"] == [[0, len(MODALITIES)]]
    assert data["modalities"][len(MODALITIES)] == UNKNOWN
    assert data["faces"][0]["box"] is data["faces"][0]["valence_uncertainty"] is None


def test_boxes_are_in_pixels_and_missing_without_a_face():
    table = frame_table()
    box = unpacked(packed(table)["faces"][0]["box"], "<i2").reshape(-1, 4)
    assert (box[~table.columns["face_detected"]] == MISSING).all()
    np.testing.assert_allclose(box[:100, 2], table.columns["face_w"][:100], atol=0.5)


def test_faces_share_their_times():
    first, second = (frame_table(face_id=number) for number in (0, 1))
    assert [face["time"] is None for face in packed(first, second)["faces"]] == [False, True]
    second.columns["time_s"][-1] += 1
    assert [face["time"] is None for face in packed(first, second)["faces"]] == [False, False]


def test_values_beyond_the_range_are_clipped_and_never_missing():
    table = FrameTable(
        "a", {"time_s": np.arange(2.0), "valence": np.array([-9.0, 9.0]), "arousal": np.zeros(2)}
    )
    assert unpacked(packed(table)["faces"][0]["valence"], "<i2").tolist() == [-32767, 32767]


def test_an_hour_takes_a_few_megabytes():
    count = 108_000
    values = np.random.default_rng(0).uniform(-1, 1, count)
    columns = dict.fromkeys(
        (
            "valence",
            "arousal",
            "valence_uncertainty",
            "arousal_uncertainty",
            "face_x",
            "face_y",
            "face_w",
            "face_h",
        ),
        values,
    )
    seen = np.arange(count) % 900 < 700
    columns |= {"time_s": np.arange(count) / 30, "modality": modality(seen, seen)}
    assert len(json.dumps(packed(FrameTable("a", columns)))) < 4e6
