"""Figures are written whole, of the stated size, also for odd data; how they look is for eyes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from vacli.output import plot


@pytest.fixture
def labels() -> np.ndarray:
    values = np.random.default_rng(0).uniform(-1, 1, (300, 2))
    values[10:20] = np.nan
    return values


def colours(path) -> int:
    with Image.open(path) as image:
        return len(image.convert("RGB").getcolors(1 << 20))


def test_trajectory_with_and_without_labels(tmp_path, labels):
    times, predicted = np.arange(300) / 25, 0.5 * np.nan_to_num(labels)
    plot.trajectory(tmp_path / "bare.png", "clip", plot.Curves(times, predicted))
    sd = np.full_like(predicted, 0.1)
    plot.trajectory(tmp_path / "full.png", "clip", plot.Curves(times, predicted, labels, sd))
    with Image.open(tmp_path / "bare.png") as bare, Image.open(tmp_path / "full.png") as full:
        assert bare.size == full.size == (1350, 630)
        assert np.any(np.asarray(bare) != np.asarray(full))


def test_histogram_and_plane(tmp_path, labels):
    plot.label_histogram(tmp_path / "h.png", labels)
    plot.plane(tmp_path / "p.png", {"Annotated": labels, "Predicted": np.zeros_like(labels)})
    assert colours(tmp_path / "h.png") > 10
    assert colours(tmp_path / "p.png") > 10


def test_figures_are_drawn_without_annotated_frames(tmp_path):
    nothing = np.full((5, 2), np.nan)
    plot.label_histogram(tmp_path / "h.png", nothing)
    plot.plane(tmp_path / "p.png", {"Annotated": nothing, "Predicted": nothing})
    plot.trajectory(tmp_path / "t.png", "x", plot.Curves(np.arange(5.0), nothing, nothing))
    assert {p.name for p in tmp_path.iterdir()} == {"h.png", "p.png", "t.png"}


def test_no_global_state_is_touched(tmp_path, labels):
    import matplotlib

    before = dict(matplotlib.rcParams)
    plot.label_histogram(tmp_path / "h.png", labels)
    assert dict(matplotlib.rcParams) == before
