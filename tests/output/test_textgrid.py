"""TextGrid files, read again by praatio."""

from __future__ import annotations

import numpy as np
import pytest
from synth.frame_tables import HOSTILE_NAMES, frame_table

from vacli.output.formats import TableOptions, write_file
from vacli.output.frame_table import FrameTable

textgrid = pytest.importorskip("praatio.textgrid")


def read(path):
    return textgrid.openTextgrid(str(path), includeEmptyIntervals=True, reportingMode="error")


def test_episodes_are_intervals_without_gaps_and_peaks_are_points(tmp_path):
    write_file([frame_table()], tmp_path / "x.TextGrid", TableOptions())
    grid = read(tmp_path / "x.TextGrid")
    assert (grid.minTimestamp, grid.maxTimestamp) == (0, 6)
    assert grid.tierNames == ("quadrant", "arousal peaks")
    assert [tuple(entry) for entry in grid.getTier("quadrant").entries] == [
        (0, 2, "pleasant, excited"),
        (2, 4, "unpleasant, excited"),
        (4, 5, ""),
        (5, 6, "unpleasant, excited"),
    ]
    assert [tuple(entry) for entry in grid.getTier("arousal peaks").entries] == [(3, "0.80")]


def test_each_face_has_its_own_tiers(tmp_path):
    write_file([frame_table("a", 0), frame_table("a", 1)], tmp_path / "x.TextGrid", TableOptions())
    assert read(tmp_path / "x.TextGrid").tierNames == (
        "quadrant face 0", "arousal peaks face 0", "quadrant face 1", "arousal peaks face 1",
    )  # fmt: skip


def test_a_recording_without_predictions_is_one_empty_interval(tmp_path):
    columns = {**frame_table().columns, "modality": np.array(["none"] * 150)}
    write_file([FrameTable("a", columns)], tmp_path / "x.TextGrid", TableOptions())
    grid = read(tmp_path / "x.TextGrid")
    assert [tuple(entry) for entry in grid.getTier("quadrant").entries] == [(0, 6, "")]
    assert len(grid.getTier("arousal peaks").entries) == 0


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_the_name_of_the_recording_has_no_effect(name, tmp_path):
    write_file([frame_table()], tmp_path / "x.TextGrid", TableOptions())
    write_file([frame_table(name)], tmp_path / "y.TextGrid", TableOptions())
    assert (tmp_path / "x.TextGrid").read_bytes() == (tmp_path / "y.TextGrid").read_bytes()
