from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from synth.sounds import RATE_HZ, noise, sound, voice

from vacli.features.audio_flags import rows_and_flags
from vacli.features.flags import MISSING, PADDED, SILENT
from vacli.features.opensmile import binding as smile
from vacli.features.opensmile.functionals import row_grid
from vacli.features.registry import create

pytest.importorskip("opensmile", reason="openSMILE is not installed")

create = cache(create)


@pytest.mark.parametrize(("name", "dim"), [("gemaps-functionals", 62), ("egemaps-functionals", 88)])
def test_dimension_and_names(name, dim):
    spec = create(name).spec
    assert (spec.dim, len(set(spec.columns))) == (dim, dim)
    assert spec.settings["window_s"] == 1.0


def test_rows_equal_those_of_one_call_per_window():
    """Equal to some percent: a single call lacks the smoothing and the pitch path at its ends."""
    extractor, samples = create("gemaps-functionals"), voice(4)
    starts = np.arange(20, 250, 20)
    times_s = starts * smile.HOP_S + extractor.centre_s
    rows = extractor.extract(sound(samples), times_s)
    whole = smile.SmileSet(config="gemaps/v01b/GeMAPSv01b.conf", level="func")
    length = round(1.05 * RATE_HZ)
    single = np.concatenate([smile.run(whole, samples[s * 160 : s * 160 + length]) for s in starts])
    means = [i for i, c in enumerate(extractor.spec.columns) if c.endswith(("amean", "percentile50.0"))]
    spread = single[:, means].std(axis=0) + 1e-6
    off = np.abs(rows[:, means] - single[:, means]) / (np.abs(single[:, means]) + spread)
    assert np.median(off) < 0.02
    correlations = [np.corrcoef(rows[:, m], single[:, m])[0, 1] for m in means if single[:, m].std() > 1e-3]
    assert np.median(correlations) > 0.98


def test_a_coarse_grid_gives_the_rows_of_the_fine_grid():
    extractor, recording = create("gemaps-functionals"), sound(voice(4))
    coarse_s = np.arange(100) / 25
    both_s = np.sort(np.concatenate([coarse_s, coarse_s + 0.013]))
    fine = extractor.extract(recording, both_s)[np.searchsorted(both_s, coarse_s)]
    np.testing.assert_allclose(
        extractor.extract(recording, coarse_s), fine, rtol=2e-2, atol=2e-2, equal_nan=True
    )


def test_row_grid():
    assert row_grid(np.array([-51, -47, -43, 1])) == (1, 4)
    assert row_grid(np.array([5, 8, 12])) == (0, 1)
    assert row_grid(np.array([7])) == (0, 1)


def test_an_event_appears_in_the_row_of_its_time():
    """The mean loudness of a sliding window over a burst is symmetric about the burst."""
    extractor = create("gemaps-functionals")
    samples = noise(4, level=1e-4)
    samples[round(1.9 * RATE_HZ) : round(2.1 * RATE_HZ)] += noise(0.2)
    times_s = np.arange(1.0, 3.0, 0.01)
    column = extractor.spec.columns.index("loudness_sma3_amean")
    loudness = extractor.extract(sound(samples), times_s)[:, column]
    loudness = loudness - loudness.min()
    assert (loudness * times_s).sum() / loudness.sum() == pytest.approx(2.0, abs=0.02)


@pytest.mark.parametrize("seconds", [0.3, 0.99, 1.0, 1.04, 1.06, 1.5])
@pytest.mark.parametrize("start_s", [0.0, 0.5])
def test_a_recording_of_about_the_window_length(seconds, start_s):
    recording = sound(voice(seconds), start_s=start_s, total_s=3.0)
    times_s = np.arange(75) / 25
    values, flags = rows_and_flags(create("gemaps-functionals"), recording, times_s)
    there = recording.is_audible_at(times_s)
    np.testing.assert_array_equal(flags == MISSING, ~there)
    assert np.isfinite(values[there]).all()
    assert (flags[there] & PADDED).sum() >= min(there.sum(), 24)


def test_a_recording_without_descriptors_is_missing():
    values, flags = rows_and_flags(create("gemaps-functionals"), sound(noise(0.05)), np.array([0.0, 0.04]))
    assert np.isnan(values).all()
    assert flags.tolist() == [MISSING] * 2


def test_silence_is_finite_and_flagged():
    silence = sound(np.zeros(3 * RATE_HZ, np.float32))
    values, flags = rows_and_flags(create("egemaps-functionals"), silence, np.array([1.0, 1.5]))
    assert np.isfinite(values).all()
    assert flags.tolist() == [SILENT] * 2
