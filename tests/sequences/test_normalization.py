"""Statistics over what is there, against numpy's own."""

from __future__ import annotations

import numpy as np
import pytest

from vacli.errors import RunError
from vacli.sequences import normalization
from vacli.sequences.base import FeatureSequence
from vacli.sequences.normalization import Normalisation, fit, standardise


def sequence(values: np.ndarray, name: str = "x") -> FeatureSequence:
    return FeatureSequence(
        video="v", times_s=np.arange(len(values)) / 25, streams={name: values.astype(np.float32)}
    )


@pytest.fixture
def rows() -> np.ndarray:
    rng = np.random.default_rng(0)
    values = rng.normal(50, [1, 20, 300], (9000, 3))
    values[::3] = np.nan
    values[5, 1] = np.inf
    return values.astype(np.float32)


def test_matches_numpy_over_blocks_and_videos(rows):
    made = fit([sequence(rows[:5000]), sequence(rows[5000:])])
    known = np.where(np.isfinite(rows), rows, np.nan).astype(np.float64)
    np.testing.assert_allclose(made.mean["x"], np.nanmean(known, axis=0), rtol=1e-6)
    np.testing.assert_allclose(made.std["x"], np.nanstd(known, axis=0), rtol=1e-6)


def test_constant_and_missing_columns_have_deviation_1():
    values = np.column_stack([np.full(10, 0.1), np.full(10, np.nan)])
    made = fit([sequence(values)])
    assert made.std["x"].tolist() == [1.0, 1.0]
    scaled = made.apply({"x": values.astype(np.float32)}, clip_z=5.0)["x"]
    assert np.allclose(scaled[:, 0], 0, atol=1e-6)
    assert np.isnan(scaled[:, 1]).all()


def test_apply_centres_and_clips(rows):
    made = fit([sequence(rows)])
    z = made.apply({"x": rows}, clip_z=2.0)["x"]
    assert np.nanmax(np.abs(z)) == 2.0
    assert (np.isnan(z) == np.isnan(rows)).all()
    wide = made.apply({"x": rows}, clip_z=1e9)["x"]
    assert np.nanmean(wide[:, 0], dtype=np.float64) == pytest.approx(0, abs=1e-4)
    assert np.nanstd(wide[:, 2], dtype=np.float64) == pytest.approx(1, abs=1e-4)


def test_numpy_and_torch_agree(rows):
    torch = pytest.importorskip("torch")
    made = fit([sequence(rows)])
    ours = made.apply({"x": rows}, clip_z=5.0)["x"]
    mean, std = torch.from_numpy(made.mean["x"]), torch.from_numpy(made.std["x"])
    np.testing.assert_array_equal(standardise(torch.from_numpy(rows), mean, std, 5.0).numpy(), ours)


def test_tensors_round_trip(rows):
    made = fit([sequence(rows)])
    back = Normalisation.from_tensors(made.tensors())
    np.testing.assert_array_equal(back.mean["x"], made.mean["x"])
    np.testing.assert_array_equal(back.std["x"], made.std["x"])


def test_missing_statistic_is_named():
    with pytest.raises(RunError, match=r"audio\.std"):
        Normalisation.from_tensors({"audio.mean": np.zeros(2)})


def test_statistics_do_not_depend_on_the_block_size(rows, monkeypatch):
    whole = fit([sequence(rows)])
    monkeypatch.setattr(normalization, "BLOCK_ROWS", 17)
    pieces = fit([sequence(rows)])
    np.testing.assert_allclose(pieces.std["x"], whole.std["x"], rtol=1e-6)
