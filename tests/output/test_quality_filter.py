"""Frames of low quality are left out, and counted by the factor that limits them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synth.frame_tables import N_FRAMES, frame_table

from vacli.errors import UsageError
from vacli.output.frame_table import PREDICTED
from vacli.output.quality_filter import QualityFilter


def test_rows_below_the_threshold_are_kept_with_empty_values():
    table = frame_table()
    below = table.valid & (table.columns["quality"] < 0.3)
    filtered = QualityFilter(0.3)(table)
    assert len(filtered) == N_FRAMES
    assert (filtered.columns["modality"][below] == "none").all()
    for name in PREDICTED:
        assert np.isnan(filtered.columns[name][below]).all()
        np.testing.assert_array_equal(filtered.columns[name][~below], table.columns[name][~below])
    for name in set(table.columns) - {*PREDICTED, "modality"}:
        np.testing.assert_array_equal(filtered.columns[name], table.columns[name])


def test_the_report_names_the_count_and_the_factors():
    table = frame_table()
    limits = np.where(np.arange(N_FRAMES) < 10, "pose", table.columns["quality_limit"])
    quality = np.where(np.arange(N_FRAMES) < 30, 0.1, np.where(table.valid, 0.9, 0.0))
    quality_filter = QualityFilter(0.3)
    quality_filter(replace(table, columns={**table.columns, "quality": quality, "quality_limit": limits}))
    assert quality_filter.report == (
        "30 of 125 frames (24.0 %) have a quality below 0.3 and are left out: sharpness 20, pose 10"
    )


def test_tables_without_quality_are_unchanged_and_counted():
    table = frame_table()
    quality_filter = QualityFilter(0.5)
    plain = replace(table, columns={name: table.columns[name] for name in ("time_s", "valence", "arousal")})
    filtered = quality_filter(plain)
    np.testing.assert_array_equal(filtered.columns["valence"], plain.columns["valence"])
    assert (
        quality_filter.report
        == "0 of 150 frames (0.0 %) have a quality below 0.5; no column quality in 1 of the inputs"
    )


def test_without_a_threshold_tables_are_unchanged():
    table = frame_table()
    quality_filter = QualityFilter(None)
    assert quality_filter(table) is table
    assert quality_filter.report is None


@pytest.mark.parametrize("threshold", [-0.1, 1.5, float("nan")])
def test_thresholds_outside_0_to_1_are_refused(threshold):
    with pytest.raises(UsageError, match="is not from 0 to 1"):
        QualityFilter(threshold)
