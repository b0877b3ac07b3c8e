"""The summary of a recording and what its rows are based on."""

from __future__ import annotations

import numpy as np
import pytest
from synth.frame_tables import frame_table

from vacli.output.annotations import face_tiers
from vacli.output.frame_table import FrameTable
from vacli.output.report.summary import FaceSummary, index_row, summarize_face


def summary(table: FrameTable) -> FaceSummary:
    return summarize_face(face_tiers([table])[0])


def test_means_are_over_the_valid_rows():
    table = frame_table()
    table.columns["valence"][~table.valid] = 9.0
    face = summary(table)
    valid = {name: table.columns[name][table.valid] for name in ("valence", "arousal")}
    assert face.mean == (pytest.approx(valid["valence"].mean()), pytest.approx(valid["arousal"].mean()))
    assert face.sd == (pytest.approx(valid["valence"].std()), pytest.approx(valid["arousal"].std()))
    expected = table.columns["valence_uncertainty"][table.valid].mean()
    assert face.uncertainty == (pytest.approx(expected), None)
    assert face.valid_fraction == pytest.approx(125 / 150)


def test_shares_of_modalities_add_up():
    shares = summary(frame_table()).shares
    assert shares == {
        "audiovisual": pytest.approx(100 / 150),
        "visual": pytest.approx(25 / 150),
        "none": pytest.approx(25 / 150),
    }


def test_a_sentence_counts_the_rows_that_are_left_out():
    text = "25 of 150 frames (16.7%) are left out, because they have neither a face nor sound."
    assert summary(frame_table()).left_out == text


def test_the_sentence_distinguishes_its_causes():
    table = frame_table()
    table.columns["audio_present"][100:110] = True
    assert summary(table).left_out == (
        "25 of 150 frames (16.7%) are left out, because they have neither a face nor sound (15) and they "
        "have no face, and their sound was not detected as speech (10)."
    )


def test_rows_of_low_quality_name_the_factors():
    table = frame_table()
    limit = np.full(150, "uncertainty", "U20")
    limit[:30], limit[30:40], limit[~table.valid] = "pose", "face_size", "no_face_or_speech"
    table.columns["modality"][:40] = "none"
    table.columns["quality_limit"] = limit
    assert summary(table).left_out == (
        "65 of 150 frames (43.3%) are left out, because they have neither a face nor sound (25) and their "
        "quality is too low (40): pose 30, face_size 10."
    )


def test_quality_is_the_mean_over_all_rows():
    table = frame_table()
    table.columns["quality"] = np.where(table.valid, 0.6, 0.0)
    assert summary(table).quality == pytest.approx(0.5)
    del table.columns["quality"]
    assert summary(table).quality is None


def test_complete_rows_and_rows_of_a_trajectory_only():
    table = FrameTable("a", {name: np.linspace(0, 1, 5) for name in ("time_s", "valence", "arousal")})
    face = summary(table)
    assert face.left_out == "No frame is left out: each has a prediction."
    assert face.shares == {"unknown": 1.0}
    table.columns["valence"][0] = np.nan
    assert "1 of 5 frames (20.0%) are left out, because the table has no" in summary(table).left_out


def test_without_valid_rows_there_is_no_mean():
    table = frame_table()
    table.columns["modality"][:] = "none"
    face = summary(table)
    assert (face.mean, face.sd, face.uncertainty, face.valid_fraction) == (None, None, (None, None), 0.0)
    row = index_row("a", face_tiers([table]))
    assert (row["valence"], row["valid_fraction"]) == (None, 0.0)


def test_index_row_joins_the_faces():
    tables = [frame_table(face_id=number, seed=number) for number in (0, 1)]
    row = index_row("clip", face_tiers(tables))
    joined = np.concatenate([table.columns["valence"][table.valid] for table in tables])
    assert row["valence"] == pytest.approx(joined.mean())
    assert (row["name"], row["faces"], row["valid_fraction"]) == ("clip", 2, pytest.approx(125 / 150))
    assert row["duration_s"] == pytest.approx(150 / 25)


def test_a_recording_without_a_face_has_no_faces_in_the_index():
    table = frame_table()
    table.columns["face_detected"][:] = False
    assert index_row("a", face_tiers([table]))["faces"] == 0
