"""Completing labels from expressions: what is touched, by what, and what never is."""

from __future__ import annotations

import numpy as np
import pytest

from vacli.datasets.annotations import (
    ANNOTATED,
    FROM_EXPRESSION,
    INTERPOLATED,
    NOT_ANNOTATED,
    OUTSIDE,
    REPAIRED,
    FrameLabels,
)
from vacli.datasets.label_refinement import GAP_FRAMES, ClassStatistics, fit, refine

NAMES = ("Neutral", "Happiness", "Other", "Fear")
HAPPY = np.array([0.6, 0.3])


def frame_labels(values: np.ndarray) -> FrameLabels:
    known = ~np.isnan(values).any(axis=1)
    return FrameLabels(
        values=values.astype(np.float32), source=np.where(known, ANNOTATED, 0).astype(np.uint8)
    )


@pytest.fixture(scope="module")
def statistics() -> ClassStatistics:
    rng = np.random.default_rng(0)
    expression = np.repeat([0, 1, 2, 3], [400, 400, 400, 50])
    centres = np.array([[0, 0], HAPPY, [0, 0], [-0.5, 0.5]])
    values = centres[expression] + rng.normal(0, [0.05, 0.1], (len(expression), 2))
    values[7] = np.nan
    return fit([(values[::2], expression[::2]), (values[1::2], expression[1::2])], NAMES)


def steady(count: int = 300) -> np.ndarray:
    return np.tile(HAPPY, (count, 1)) + 0.01 * np.sin(np.arange(count))[:, None]


def test_fit_against_plain_numpy():
    rng = np.random.default_rng(1)
    values = rng.normal([0.2, -0.1], [0.1, 0.3], (500, 2))
    made = fit([(values, np.zeros(500, int))], ("Neutral",))
    np.testing.assert_allclose(made.mean[0], values.mean(axis=0), atol=1e-12)
    raw = np.cov(values.T, ddof=0)
    np.testing.assert_allclose(
        made.covariance[0], 0.9 * raw + 0.1 * np.eye(2) * np.trace(raw) / 2, atol=1e-12
    )


def test_rare_and_excluded_classes_have_no_statistics(statistics):
    assert statistics.known.tolist() == [True, True, False, False]
    assert statistics.has_statistics(np.array([0, 1, 2, 3, -1])).tolist() == [True, True, False, False, False]


@pytest.mark.parametrize("expression", [None, np.full(300, 1)])
def test_short_gaps_are_interpolated(statistics, expression):
    values = np.column_stack([np.linspace(0, 1, 300), np.linspace(0, -1, 300)])
    holes = values.copy()
    holes[100 : 100 + GAP_FRAMES] = np.nan
    made = refine(frame_labels(holes), expression, statistics, "fill")
    np.testing.assert_allclose(made.values, values, atol=1e-6)
    assert np.flatnonzero(made.source == INTERPOLATED).tolist() == list(range(100, 100 + GAP_FRAMES))


def test_long_gaps_decay_from_the_neighbour_to_the_class_mean(statistics):
    values = np.zeros((300, 2))
    values[100:250] = np.nan
    made = refine(frame_labels(values), np.full(300, 1), statistics, "fill")
    assert (made.source[100:250] == FROM_EXPRESSION).all()
    np.testing.assert_allclose(made.values[175], statistics.mean[1], atol=0.06)
    weight = np.exp(-1 / GAP_FRAMES)
    np.testing.assert_allclose(made.values[100], (1 - weight) * statistics.mean[1], atol=1e-6)
    np.testing.assert_allclose(made.values[249], made.values[100], atol=1e-6)


@pytest.mark.parametrize("code", [-1, 2, 3])
def test_long_gaps_without_class_statistics_stay_nan(statistics, code):
    values = steady()
    values[100:200] = np.nan
    made = refine(frame_labels(values), np.full(300, code), statistics, "fill")
    assert np.isnan(made.values[100:200]).all()
    assert (made.source[100:200] == NOT_ANNOTATED).all()


def test_ends_are_filled_from_the_expression_only(statistics):
    values = steady()
    values[:5] = np.nan
    silent = refine(frame_labels(values), None, statistics, "fill")
    assert np.isnan(silent.values[:5]).all()
    by_class = refine(frame_labels(values), np.full(300, 1), statistics, "fill")
    assert (by_class.source[:5] == FROM_EXPRESSION).all()


def test_video_without_annotation_is_unchanged(statistics):
    made = refine(frame_labels(np.full((50, 2), np.nan)), np.full(50, 1), statistics, "fill")
    assert np.isnan(made.values).all()


def test_rows_outside_the_annotation_are_unchanged(statistics):
    labels = frame_labels(np.vstack([steady(), np.full((20, 2), np.nan)]))
    labels.source[300:] = OUTSIDE
    made = refine(labels, np.full(320, 1), statistics, "fill")
    assert np.isnan(made.values[300:]).all()
    assert (made.source[300:] == OUTSIDE).all()


def test_repair_needs_both_a_jump_and_a_contradiction(statistics):
    values = steady()
    values[150] = [-0.9, -0.9]  # a jump, far from Happiness
    values[200:] = [-0.9, -0.9]  # far from Happiness, but it stays there
    labels = frame_labels(values)
    made = refine(labels, np.full(300, 1), statistics, "fill+repair")
    assert np.flatnonzero(made.source == REPAIRED).tolist() == [150]
    np.testing.assert_allclose(made.values[150], steady()[149:152:2].mean(axis=0), atol=1e-6)
    kept = np.arange(300) != 150
    np.testing.assert_array_equal(made.values[kept], labels.values[kept])
    other = refine(labels, np.full(300, 2), statistics, "fill+repair")
    assert not (other.source == REPAIRED).any()


def test_repair_is_limited_to_the_worst(statistics):
    values = steady()
    wrong = np.arange(5, 300, 20)  # 15 frames of 300, at most 6 may be touched
    values[wrong] = HAPPY - np.linspace(0.6, 1.4, len(wrong))[:, None]
    made = refine(frame_labels(values), np.full(300, 1), statistics, "fill+repair")
    assert np.flatnonzero(made.source == REPAIRED).tolist() == wrong[-6:].tolist()


def test_fill_does_not_repair_and_off_changes_nothing(statistics):
    values = steady()
    values[150] = [-0.9, -0.9]
    values[10] = np.nan
    labels = frame_labels(values)
    filled = refine(labels, np.full(300, 1), statistics, "fill")
    assert (filled.source == REPAIRED).sum() == 0
    assert filled.source[10] == INTERPOLATED
    assert refine(labels, np.full(300, 1), statistics, "off") is labels


def test_inputs_are_not_modified(statistics):
    values = steady()
    values[50] = np.nan
    values[150] = [-0.9, -0.9]
    labels = frame_labels(values)
    before = labels.values.copy(), labels.source.copy()
    refine(labels, np.full(300, 1), statistics, "fill+repair")
    np.testing.assert_array_equal(labels.values, before[0])
    np.testing.assert_array_equal(labels.source, before[1])
