"""Summaries of parts of trajectories: pooled over seconds, and over a sample of persons."""

from __future__ import annotations

import numpy as np
import pytest
from synth.frame_tables import frame_table

from vacli.output.frame_table import FrameTable
from vacli.output.trajectory_summary import (
    Estimate,
    FaceTrajectory,
    Summarizer,
    combine,
    sample_mean,
)

WHOLE = (-np.inf, np.inf)


def trajectory(valence, name="a.mp4", person="", rate_hz=10.0, times_s=None) -> FaceTrajectory:
    valence = np.asarray(valence, float)
    columns = {
        "time_s": np.arange(len(valence)) / rate_hz if times_s is None else np.asarray(times_s),
        "valence": valence,
        "arousal": np.zeros(len(valence)),
        "modality": np.where(np.isnan(valence), "none", "visual"),
        "valence_uncertainty": np.full(len(valence), 0.2),
        "quality": np.where(np.isnan(valence), 0.0, 0.8),
    }
    return FaceTrajectory(FrameTable(name, columns), person or name, {"input": name})


def summary(*parts, is_sample=False, **more):
    return Summarizer(is_sample, **more)(parts)


def test_the_summary_of_a_recording_counts_only_frames_with_a_prediction():
    values = np.concatenate([np.full(30, 0.2), np.full(10, np.nan), np.full(60, 0.6)])
    made = summary(trajectory(values).part(*WHOLE))
    assert (made["recordings"], made["faces"], made["frames"]) == (1, 1, 100)
    assert made["duration_s"] == pytest.approx(10)
    assert made["valid_fraction"] == pytest.approx(0.9)
    assert made["quality_mean"] == pytest.approx(0.72)
    assert made["valence_mean"] == pytest.approx((30 * 0.2 + 60 * 0.6) / 90)
    assert made["valence_sd"] == pytest.approx(np.std([0.2] * 30 + [0.6] * 60))
    assert [made[f"valence_q{q}"] for q in (10, 25, 50, 75, 90)] == [0.2, 0.2, 0.6, 0.6, 0.6]


def test_shares_of_speech_are_over_the_seconds_in_which_it_is_known():
    face = trajectory(np.zeros(10))
    unknown = summary(face.part(*WHOLE))
    assert np.isnan([unknown["speech_fraction"], unknown["speaking_fraction"]]).all()
    face.table.columns["speech_present"] = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
    face.table.columns["speaking"] = np.array([1, 0, 0, 0, -1, -1, -1, -1, np.nan, np.nan])
    made = summary(face.part(*WHOLE))
    assert made["speech_fraction"] == pytest.approx(0.4)
    assert made["speaking_fraction"] == pytest.approx(0.25)
    assert summary(face.part(0.0, 0.2))["speaking_fraction"] == pytest.approx(0.5)


def test_means_are_weighted_by_time_at_a_variable_frame_rate():
    times_s = np.concatenate([np.arange(0, 1, 0.01), np.arange(1, 4, 0.1)])
    made = summary(trajectory(np.where(times_s < 1, 1.0, 0.0), times_s=times_s).part(*WHOLE))
    assert made["valence_mean"] == pytest.approx(1 / 3.91), "the last frame lasts as long as the median one"
    assert made["valence_q50"] == 0.0, "most frames have 1, most seconds 0"


def test_bins_add_up_to_the_whole():
    rng = np.random.default_rng(0)
    times_s = np.cumsum(rng.uniform(0.01, 0.3, 300))
    whole = trajectory(rng.uniform(-1, 1, 300), times_s=times_s)
    parts = [whole.part(start, start + 0.7) for start in np.arange(0, 60, 0.7)]
    total = sum(part.valid_s for part in parts)
    assert total == pytest.approx(whole.part(*WHOLE).valid_s)
    weighted = sum(part.estimate("valence").mean * part.valid_s for part in parts if part.valid_s)
    assert weighted / total == pytest.approx(whole.part(*WHOLE).estimate("valence").mean)
    assert sum(part.n_peaks for part in parts) == len(whole.peaks_s)


def test_a_bin_includes_its_start_and_excludes_its_end():
    whole = trajectory(np.arange(20) / 20)
    part = whole.part(0.5, 1.0)
    assert part.column("valence")[part.seconds > 1e-9].tolist() == [0.25, 0.3, 0.35, 0.4, 0.45]


def test_a_missing_uncertainty_is_left_out_of_the_standard_error():
    whole = trajectory(np.linspace(0, 1, 40))
    before = whole.part(*WHOLE).estimate("valence").standard_error
    whole.table.columns["valence_uncertainty"][7] = np.nan
    assert whole.part(*WHOLE).estimate("valence").standard_error == pytest.approx(before)
    whole.table.columns["valence_uncertainty"][:] = np.nan
    assert 0 < whole.part(*WHOLE).estimate("valence").standard_error < before


@pytest.mark.parametrize("span", [(50.0, 51.0), (-5.0, 0.0), (1.0, 2.0)])
def test_parts_without_a_prediction_are_empty(span):
    values = np.full(40, 0.5)
    values[10:20] = np.nan
    made = summary(trajectory(values).part(*span), above=[("valence", 0.1)])
    for name in ("valence_mean", "valence_se", "valence_sd", "valence_q50", "valence_above_0.1_fraction"):
        assert np.isnan(made[name]), name
    assert made["arousal_peaks"] == 0
    assert made["arousal_peaks_per_min"] is None


def test_time_above_a_threshold():
    values = np.concatenate([np.full(30, 0.29), np.full(10, 0.31), np.full(10, np.nan)])
    made = summary(trajectory(values).part(*WHOLE), above=[("valence", 0.3)])
    assert made["valence_above_0.3_s"] == pytest.approx(1.0)
    assert made["valence_above_0.3_fraction"] == pytest.approx(0.25)


def test_peaks_of_arousal_are_counted_where_they_are():
    peaked = FaceTrajectory(frame_table(), "a", {})
    assert peaked.peaks_s.tolist() == [3.0]
    assert peaked.part(2.5, 3.5).n_peaks == 1
    assert peaked.part(3.5, 6.0).n_peaks == 0
    assert summary(peaked.part(*WHOLE))["arousal_peaks_per_min"] == pytest.approx(60 / 5)


def test_recordings_of_one_person_are_pooled_over_seconds():
    long, short = trajectory([0.0] * 90, "a.mp4", "s1"), trajectory([1.0] * 10, "b.mp4", "s1")
    made = summary(long.part(*WHOLE), short.part(*WHOLE))
    assert (made["recordings"], made["valence_mean"]) == (2, pytest.approx(0.1))
    assert made["valence_sd"] == pytest.approx(0.3)


def test_each_person_counts_once_in_a_group():
    parts = [trajectory([value] * n, str(n), str(n)).part(*WHOLE) for value, n in ((0.0, 90), (1.0, 10))]
    made = summary(*parts, is_sample=True)
    assert made["valence_mean"] == pytest.approx(0.5)
    assert made["valence_se"] == pytest.approx(np.std([0, 1], ddof=1) / np.sqrt(2))
    assert made["valence_effective_n"] == 2
    assert made["valence_sd"] == pytest.approx(0.5)
    alone = summary(parts[0], is_sample=True)
    assert (alone["valence_mean"], alone["valence_effective_n"]) == (0.0, 1)
    assert np.isnan(alone["valence_se"]), "one person has no spread between persons"


def test_changes_are_from_the_own_baseline():
    persons = {"s1": (0.5, 0.2), "s2": (-0.1, -0.2)}
    parts = [trajectory([mean] * 50, p, p).part(*WHOLE) for p, (mean, _) in persons.items()]
    baselines = {
        p: {n: Estimate(base, 0.1, 1, 5.0) for n in ("valence", "arousal")}
        for p, (_, base) in persons.items()
    }
    made = summary(*parts, is_sample=True, baselines=baselines)
    assert made["valence_change"] == pytest.approx(0.2)
    assert made["valence_change_se"] == pytest.approx(np.std([0.3, 0.1], ddof=1) / np.sqrt(2))
    own = summary(parts[0], baselines=baselines)
    assert (own["valence_baseline"], own["valence_change"]) == (0.2, pytest.approx(0.3))
    assert own["valence_change_se"] == pytest.approx(np.hypot(own["valence_se"], 0.1))
    assert np.isnan(summary(parts[0], baselines={})["valence_change"])


def test_independent_estimates_combine_by_their_seconds():
    made = combine([Estimate(0.0, 0.3, 2, 3.0), Estimate(1.0, 0.4, 3, 1.0)])
    assert made == Estimate(0.25, pytest.approx(np.hypot(0.75 * 0.3, 0.25 * 0.4)), 5, 4.0)
    assert np.isnan(combine([]).mean)
    assert sample_mean([Estimate(0.5, 0.1, 4, 2.0)]) == Estimate(
        0.5, pytest.approx(np.nan, nan_ok=True), 1, 2.0
    )
