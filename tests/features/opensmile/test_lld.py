from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synth.htk_mfcc import mfcc
from synth.sounds import RATE_HZ, noise, sound, voice

from vacli.features.audio_flags import rows_and_flags
from vacli.features.flags import MISSING, PADDED, SILENT
from vacli.features.opensmile import binding as smile
from vacli.features.opensmile.lld import nearest_row
from vacli.features.registry import create

pytest.importorskip("opensmile", reason="openSMILE is not installed")

create = cache(create)
FRAMEWISE = {"egemaps": 23, "egemaps-v02": 25, "mfcc39": 39}
GRID_S = np.arange(4000) * 1e-3


@pytest.mark.parametrize(
    "samples",
    [noise(1.5), voice(2) + noise(2, 9, 3e-3), np.zeros(8000, np.float32)],
    ids=["noise", "voice", "0"],
)
def test_mfcc39_equals_htk(samples):
    extractor = create("mfcc39")
    times_s = np.arange(len(samples) // smile.HOP - 2) * smile.HOP_S + 0.0125
    rows = extractor.extract(sound(samples), times_s)
    np.testing.assert_allclose(rows, mfcc(smile.to_int16(samples))[: len(rows)], atol=1e-4, rtol=1e-6)


def test_c0_is_the_last_static_coefficient():
    columns = create("mfcc39").spec.columns
    quiet, loud = (
        create("mfcc39").extract(sound(noise(1, level=level)), np.array([0.5]))[0] for level in (0.01, 0.1)
    )
    change = np.abs(loud - quiet)[:13]
    assert columns[change.argmax()] == "mfcc0" == columns[12]
    assert columns[:2] == ("mfcc1", "mfcc2")
    assert columns[25], columns[38] == ("mfcc0_delta", "mfcc0_delta_delta")


@pytest.mark.parametrize(("name", "dim"), FRAMEWISE.items())
def test_dimension_and_names(name, dim):
    spec = create(name).spec
    assert (spec.name, spec.dim, len(set(spec.columns))) == (name, dim, dim)
    assert spec.settings["hop_s"] == 0.01
    assert sum(len(group) for group in spec.settings["centre_s"].values()) == dim
    assert "research" in spec.licence


@pytest.mark.parametrize("samples", [voice(2) + noise(2, 9, 3e-3), voice(0.1)], ids=["voice", "0.1 s"])
def test_egemaps_rows_equal_those_of_the_configuration_of_opensmile(samples):
    """Columns and values, bit by bit: our file leaves out what only the functionals need."""
    theirs, ours = smile.SmileSet(config="egemaps/v01b/eGeMAPSv01b.conf"), create("egemaps")._set.wanted
    assert smile.column_names(ours) == smile.column_names(theirs)
    rows = smile.run(ours, samples)
    assert len(rows) > 5
    np.testing.assert_array_equal(rows, smile.run(theirs, samples))


def middle_s(name: str, column: str, shape) -> float:
    """The time of the middle of an event at 1.0 s, measured on the extracted rows."""
    extractor = create(name)
    times_s = np.arange(0.5, 1.5, 0.001)
    seen = extractor.extract(shape, times_s)[:, extractor.spec.columns.index(column)]
    quiet, there = np.median(seen[:200]), np.median(seen[490:510])
    on = np.abs(seen - quiet) > 0.5 * np.abs(there - quiet)
    return float(times_s[on].mean())


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("egemaps", "Loudness_sma3"),
        ("egemaps", "mfcc1_sma3"),
        ("egemaps", "F0semitoneFrom27.5Hz_sma3nz"),
        ("egemaps", "HNRdBACF_sma3nz"),
        ("egemaps", "F3amplitudeLogRelF0_sma3nz"),
        ("egemaps-v02", "F0semitoneFrom27.5Hz_sma3nz"),
        ("mfcc39", "mfcc0"),
        ("mfcc39", "mfcc1"),
    ],
)
def test_an_event_appears_in_the_row_of_its_time(name, column):
    middles = []
    for shift_s in (0.0, 0.0025, 0.005, 0.0075):  # against the grid of rows
        centre_s = 1.0 + shift_s
        times_s = np.arange(2 * RATE_HZ) / RATE_HZ - centre_s
        tone = sum(np.cos(2 * np.pi * 150 * h * times_s) / h for h in range(1, 25))
        samples = 0.1 * tone * (np.abs(times_s) < 0.15) + noise(2, level=1e-4)
        middles.append(middle_s(name, column, sound(samples.astype(np.float32))) - shift_s)
    assert np.mean(middles) == pytest.approx(1.0, abs=0.004)


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 0.1), st.integers(1, 300))
def test_nearest_row_is_within_half_a_hop(centre_s, count):
    times_s = np.sort(np.random.default_rng(count).uniform(0, 5, count))
    off_s = times_s - (nearest_row(times_s, centre_s) * smile.HOP_S + centre_s)
    assert np.abs(off_s).max() <= smile.HOP_S / 2 + 1e-7


def test_rows_stay_aligned_after_an_hour():
    times_s = np.arange(3600 * 30) * 1001 / 30000
    off_s = times_s - (nearest_row(times_s, 0.01) * smile.HOP_S + 0.01)
    assert np.abs(off_s).max() <= 0.005 + 1e-7


@pytest.mark.parametrize("name", FRAMEWISE)
def test_silence_is_finite_and_flagged(name):
    values, flags = rows_and_flags(
        create(name), sound(np.zeros(RATE_HZ, np.float32)), np.arange(0.2, 0.8, 0.04)
    )
    assert np.isfinite(values).all()
    assert set(flags.tolist()) == {SILENT}


@pytest.mark.parametrize("name", FRAMEWISE)
@pytest.mark.parametrize(("seconds", "start_s"), [(0.5, 0.0), (0.5, 0.71), (0.06, 0.0), (0.06, 0.313)])
def test_frames_without_sound_are_missing_and_ends_are_padded(name, seconds, start_s):
    recording = sound(noise(seconds), start_s=start_s, total_s=2.0)
    times_s = np.arange(50) / 25
    values, flags = rows_and_flags(create(name), recording, times_s)
    there = recording.is_audible_at(times_s)
    np.testing.assert_array_equal(flags == MISSING, ~there)
    np.testing.assert_array_equal(np.isnan(values).any(axis=1), ~there)
    assert flags[there][0] == flags[there][-1] == PADDED


@pytest.mark.parametrize("name", FRAMEWISE)
def test_a_recording_below_one_analysis_frame_is_missing(name):
    values, flags = rows_and_flags(create(name), sound(noise(0.02), total_s=1.0), np.arange(25) / 25)
    assert np.isnan(values).all()
    assert set(flags.tolist()) == {MISSING}


def test_padding_after_the_sound_does_not_change_its_last_frames():
    cut = create("egemaps").extract(sound(noise(1.0)), np.array([0.98]))
    followed = create("egemaps").extract(sound(noise(1.0), total_s=3.0), np.array([0.98]))
    np.testing.assert_array_equal(cut, followed)
