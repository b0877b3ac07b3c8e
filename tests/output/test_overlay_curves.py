"""Rows of tables at the times of a video's frames."""

from __future__ import annotations

import numpy as np
import pytest
from synth.overlays import table_at

from vacli.errors import InputError
from vacli.output.frame_table import FrameTable
from vacli.output.overlay.curves import AUDIO, VISUAL, align_tables

TIMES_S = np.arange(50) / 25


def test_rows_at_the_same_times_are_taken_over():
    valence = np.linspace(-1, 1, 50)
    (face,) = align_tables([table_at(TIMES_S, valence=valence, box=(1, 2, 30, 40))], TIMES_S)
    np.testing.assert_allclose(face.values[:, 0], valence)
    np.testing.assert_allclose(face.boxes[0], (1, 2, 31, 42))
    assert face.is_valid.all()


def test_times_with_six_decimals_fit():
    times_s = np.arange(50) * 1001 / 30_000
    (face,) = align_tables([table_at(times_s.round(6), valence=np.arange(50) / 50)], times_s)
    np.testing.assert_allclose(face.values[:, 0], np.arange(50) / 50)


def test_a_table_of_a_lower_rate_gives_the_nearest_rows():
    table = table_at(np.arange(20) / 10, valence=np.arange(20) / 20)
    (face,) = align_tables([table], TIMES_S)
    np.testing.assert_allclose(
        face.values[:, 0], np.abs(TIMES_S[:, None] - np.arange(20) / 10).argmin(1) / 20
    )


def test_frames_far_from_all_rows_have_no_prediction():
    (face,) = align_tables([table_at(TIMES_S[:10])], TIMES_S)
    assert face.is_valid.tolist() == [True] * 10 + [False] * 40
    assert np.isnan(face.boxes[10:]).all()


def test_faces_are_sorted_and_named_by_their_ids():
    tables = [table_at(TIMES_S, face_id=2), table_at(TIMES_S, face_id=0), table_at(TIMES_S, face_id=-1)]
    assert [face.name for face in align_tables(tables, TIMES_S)] == ["voice", "face 0", "face 2"]


def test_modalities_say_which_streams_are_used():
    modality = np.array(["audiovisual", "visual", "audio", "none"])
    (face,) = align_tables([table_at(TIMES_S[:4], modality=modality)], TIMES_S[:4])
    assert face.uses(VISUAL).tolist() == [True, True, False, False]
    assert face.uses(AUDIO).tolist() == [True, False, True, False]
    assert face.is_valid.tolist() == [True, True, True, False]


def test_a_table_may_lack_all_but_times_and_values():
    table = FrameTable("a", {"time_s": TIMES_S, "valence": TIMES_S * 0, "arousal": TIMES_S * 0})
    (face,) = align_tables([table], TIMES_S)
    assert face.is_valid.all()
    assert np.isnan(face.boxes).all()
    assert np.isnan(face.uncertainty).all()


def test_a_table_without_values_is_refused():
    with pytest.raises(InputError, match="no column arousal"):
        align_tables([FrameTable("a", {"time_s": TIMES_S, "valence": TIMES_S})], TIMES_S)


def test_a_table_of_other_times_is_refused():
    with pytest.raises(InputError, match="no row at the times"):
        align_tables([table_at(TIMES_S + 100)], TIMES_S)


def test_one_frame_and_one_row_fit():
    (face,) = align_tables([table_at(np.array([0.0]))], np.array([0.0]))
    assert face.is_valid.tolist() == [True]
