from __future__ import annotations

import numpy as np
import pytest
from synth.sounds import RATE_HZ, noise, voice

from vacli.errors import PackageMissing
from vacli.features import registry
from vacli.features.opensmile import binding as smile

pytest.importorskip("opensmile", reason="openSMILE is not installed")

EGEMAPS = smile.SmileSet(config="egemaps/v01b/eGeMAPSv01b.conf")
SLIDING = registry.create("gemaps-functionals")


def test_full_scale_does_not_wrap():
    samples = np.array([1.0, 1.5, -1.0, -1.5, 0.5, 1 / 32768], np.float32)
    assert smile.to_int16(samples).tolist() == [32767, 32767, -32768, -32768, 16384, 1]


def test_full_scale_samples_change_no_descriptor():
    tone = np.sin(2 * np.pi * 200 * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32)
    exact, below = smile.run(EGEMAPS, tone), smile.run(EGEMAPS, tone * np.float32(32767 / 32768))
    assert tone.max() == 1.0
    np.testing.assert_allclose(exact[:, 0], below[:, 0], rtol=1e-3)


def test_rows_are_those_of_the_public_interface(recwarn):
    opensmile = pytest.importorskip("opensmile")
    samples = voice(2)
    public = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.LowLevelDescriptors)
    ours = smile.SmileSet(config="egemaps/v02/eGeMAPSv02.conf")
    theirs = public.process_signal(smile.to_int16(samples) / np.float32(32768), RATE_HZ)
    np.testing.assert_array_equal(smile.run(ours, samples), theirs.to_numpy(np.float32))
    assert smile.column_names(ours) == tuple(theirs.columns)


@pytest.mark.parametrize(("seconds", "seed"), [(7.003, 0), (6.0, 1), (2.5, 2)])
def test_blocks_give_the_rows_of_one_pass(monkeypatch, seconds, seed):
    monkeypatch.setattr(smile, "_BLOCK_S", 2)
    samples = voice(seconds, seed)
    np.testing.assert_array_equal(smile.run_long(EGEMAPS, samples), smile.run(EGEMAPS, samples))


@pytest.mark.parametrize("step", [1, 3, 4])
def test_blocks_of_sliding_windows_give_the_rows_of_one_pass(monkeypatch, step):
    monkeypatch.setattr(smile, "_BLOCK_S", 2)
    samples = voice(6.57)
    wanted = SLIDING.sliding(step)
    whole = smile.run(wanted, samples)
    span = smile.Span(hop_rows=step, window_s=SLIDING.window_s)
    assert len(whole) > 500 // step
    np.testing.assert_allclose(smile.run_long(wanted, samples, span), whole, rtol=1e-5, atol=1e-5)


def test_an_hour_is_processed_in_blocks(monkeypatch):
    seen = []

    def run(wanted, samples):
        seen.append(len(samples))
        return np.zeros((max(0, len(samples) // smile.HOP - 4), 23), np.float32)

    monkeypatch.setattr(smile, "run", run)
    rows = smile.run_long(EGEMAPS, np.zeros(3600 * RATE_HZ, np.float32))
    assert len(rows) == 360_000 - 4
    assert max(seen) <= 32 * RATE_HZ


def test_sound_below_one_frame_gives_no_row():
    assert smile.run_long(EGEMAPS, np.zeros(0, np.float32)).shape == (0, 23)
    assert smile.run_long(EGEMAPS, noise(0.05)).shape == (0, 23)


def test_without_opensmile_the_error_has_a_remedy(monkeypatch):
    find = smile.importlib.util.find_spec
    monkeypatch.setattr(smile.importlib.util, "find_spec", lambda n: None if n == "opensmile" else find(n))
    smile._library.cache_clear()
    smile._names.cache_clear()
    try:
        for name in ("egemaps", "mfcc39", "gemaps-functionals"):
            with pytest.raises(PackageMissing, match="openSMILE is not installed") as caught:
                registry.create(name)
            assert "pip install opensmile" in caught.value.hint
    finally:
        smile._library.cache_clear()
        smile._names.cache_clear()
