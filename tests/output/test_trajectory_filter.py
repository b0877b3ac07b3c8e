"""Smoothing and resampling against SciPy, with gaps and variable frame rates."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from vacli.errors import InputError
from vacli.output.frame_table import FrameTable
from vacli.output.trajectory_filter import FWHM, Filter, resample, smooth

RATE_HZ = 25


def table(
    valence: np.ndarray, times_s: np.ndarray | None = None, valid: np.ndarray | None = None
) -> FrameTable:
    count = len(valence)
    return FrameTable(
        "a.mp4",
        {
            "time_s": np.arange(count) / RATE_HZ if times_s is None else times_s,
            "valence": valence,
            "arousal": -valence,
            "modality": np.where(np.ones(count, bool) if valid is None else valid, "visual", "none"),
            "face_id": np.arange(count),
        },
    )


def tone(frequency_hz: float, times_s: np.ndarray) -> np.ndarray:
    return np.sin(2 * np.pi * frequency_hz * times_s)


def test_smoothing_equals_a_gaussian_filter_on_a_regular_series():
    values = np.random.default_rng(0).normal(size=300)
    expected = gaussian_filter1d(values, 0.5 / FWHM * RATE_HZ, mode="constant", truncate=4.5)
    made = smooth(table(values), 0.5)
    inside = slice(40, -40)
    np.testing.assert_allclose(made.columns["valence"][inside], expected[inside], atol=1e-4)
    np.testing.assert_allclose(made.columns["arousal"], -made.columns["valence"])


def test_smoothing_has_no_delay():
    values = np.zeros(101)
    values[50] = 1
    smoothed = smooth(table(values), 1.0).columns["valence"]
    np.testing.assert_allclose(smoothed, smoothed[::-1], atol=1e-12)
    assert smoothed.argmax() == 50


def test_constants_stay_constant_also_at_edges_and_variable_frame_rates():
    times_s = np.cumsum(np.random.default_rng(1).uniform(0.01, 0.2, 200))
    for filtered in (
        smooth(table(np.full(200, 0.4), times_s), 0.5),
        resample(table(np.full(200, 0.4), times_s), 4),
    ):
        np.testing.assert_allclose(filtered.columns["valence"], 0.4)


def test_frames_count_for_their_duration():
    times_s = np.concatenate([np.arange(0, 2, 0.1), np.arange(2, 4, 0.01)])  # values after 2 s are dense
    values = np.where(times_s < 2, 0.0, 1.0)
    at_edge = smooth(table(values, times_s), 0.5).columns["valence"][np.searchsorted(times_s, 2.0)]
    assert at_edge == pytest.approx(0.5, abs=0.08)


def test_rows_without_a_prediction_stay_without_and_have_no_effect():
    values = np.full(100, 0.5)
    valid = np.ones(100, bool)
    valid[45:50] = False
    values[45:50] = 99.0
    filtered = smooth(table(values, valid=valid), 0.5)
    np.testing.assert_allclose(filtered.columns["valence"][valid], 0.5)
    assert filtered.columns["modality"].tolist() == table(values, valid=valid).columns["modality"].tolist()
    empty = np.where(valid, values, np.nan)
    assert np.isnan(smooth(table(empty, valid=valid), 0.5).columns["valence"][~valid]).all()
    resampled = resample(table(empty, valid=valid), 5).columns
    np.testing.assert_array_equal(np.isnan(resampled["valence"]), resampled["modality"] == "none")
    np.testing.assert_allclose(resampled["valence"][resampled["modality"] != "none"], 0.5)


@pytest.mark.parametrize(("gap_s", "bridged"), [(0.4, True), (0.8, False)])
def test_smoothing_does_not_reach_across_gaps_longer_than_its_width(gap_s, bridged):
    gap = round(gap_s * RATE_HZ)
    values = np.concatenate([np.zeros(50), np.full(gap, np.nan), np.ones(50)])
    smoothed = smooth(table(values, valid=np.isfinite(values)), 0.6).columns["valence"]
    assert (smoothed[49] > 1e-3) == bridged
    assert (smoothed[50 + gap] < 1 - 1e-3) == bridged


@pytest.mark.parametrize("frequency_hz", [5.05, 6.0, 9.0, 12.0])
def test_frequencies_above_half_the_new_rate_are_suppressed_by_40_db(frequency_hz):
    times_s = np.arange(2000) / 30
    resampled = resample(table(tone(frequency_hz, times_s), times_s), 10).columns["valence"]
    rms = np.sqrt(np.mean(resampled[20:-20] ** 2))
    assert 20 * np.log10(rms / np.sqrt(0.5)) < -40


def test_slow_changes_pass_a_resampling():
    times_s = np.arange(2000) / 30
    made = resample(table(tone(0.2, times_s), times_s), 10).columns
    np.testing.assert_allclose(made["valence"][20:-20], tone(0.2, made["time_s"])[20:-20], atol=0.03)


def test_resampled_rows_are_at_the_rate_from_the_first_frame_on():
    made = resample(table(np.zeros(51), 2 + np.arange(51) / 25), 10).columns
    np.testing.assert_allclose(made["time_s"], 2 + np.arange(21) / 10)
    assert made["face_id"][:4].tolist() == [0, 2, 5, 7], "the frame that is shown"


def test_a_gap_of_the_recording_has_no_resampled_rows():
    times_s = np.concatenate([np.arange(50) / 25, 10 + np.arange(50) / 25])
    made = resample(table(np.full(100, 0.5), times_s), 2).columns
    assert made["time_s"].tolist() == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 10.0, 10.5, 11.0, 11.5]
    assert np.isfinite(made["valence"]).all()
    assert set(made["modality"].tolist()) == {"visual"}


def test_a_slow_recording_has_all_resampled_rows():
    assert len(resample(table(np.zeros(10), 5.0 * np.arange(10)), 0.1)) == 5


def test_smoothing_and_resampling_together_smooth_as_much_as_the_wider_kernel():
    values = np.random.default_rng(0).normal(size=500)
    both = Filter(smooth_s=2.0, rate_hz=5)(table(values)).columns
    plain = Filter(smooth_s=2.0)(table(values)).columns
    np.testing.assert_allclose(both["valence"], plain["valence"][::5], atol=1e-9)


def test_a_rate_above_that_of_the_frames_is_refused():
    with pytest.raises(InputError, match=r"a\.mp4 has 25 frames a second, and --rate 30 is more"):
        resample(table(np.zeros(50)), 30)
    assert len(resample(table(np.zeros(50)), 25)) == 50


def test_no_filter_changes_nothing():
    given = table(np.zeros(5))
    assert Filter()(given) is given
