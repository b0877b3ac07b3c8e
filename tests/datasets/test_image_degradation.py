"""Degraded pictures: each condition changes what its name says, and equal seeds give equal pictures."""

from __future__ import annotations

import numpy as np
import pytest

from vacli.datasets.image_degradation import DEGRADATIONS


def picture() -> np.ndarray:
    """A picture (224, 224, 3) with a bright disc and stripes on grey."""
    y, x = np.mgrid[:224, :224] - 111.5
    luma = 90 + 80 * (np.hypot(x, y) < 70) + 40 * np.sin(x / 3)
    return np.repeat(luma.astype(np.uint8)[..., np.newaxis], 3, axis=2)


def degraded(name: str, seed: int = 0) -> np.ndarray:
    return DEGRADATIONS[name](picture(), np.random.default_rng(seed))


def detail(rgb: np.ndarray) -> float:
    """The mean step between neighbours of a row."""
    return float(np.abs(np.diff(rgb[..., 0].astype(float), axis=1)).mean())


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_every_condition_changes_the_picture_and_depends_on_the_seed_only(name):
    made = degraded(name)
    assert (made.shape, made.dtype) == ((224, 224, 3), np.uint8)
    assert not np.array_equal(made, picture())
    np.testing.assert_array_equal(made, degraded(name))


@pytest.mark.parametrize(("less", "more"), [("blur", "strong-blur"), ("24px", "16px")])
def test_blurred_and_small_faces_lose_detail(less, more):
    assert detail(degraded(more)) < detail(degraded(less)) < 0.8 * detail(picture())


def test_a_dark_picture_is_dark_and_noise_is_added():
    assert degraded("dark").mean() < 0.3 * picture().mean()
    assert detail(degraded("noise")) > detail(picture())


def test_contrast_is_reduced_around_middle_grey():
    assert degraded("low-contrast").std() == pytest.approx(0.15 * picture().std(), rel=0.05)


def test_a_turned_picture_is_narrower_and_keeps_its_centre():
    made = degraded("turned")
    shown = np.flatnonzero(made[112].any(axis=1))
    assert 0.4 < len(shown) / 224 < 0.7
    assert abs(int(made[112, 112, 0]) - int(picture()[112, 112, 0])) < 40
    heights = [np.count_nonzero(made[:, x].any(axis=1)) for x in (shown[3], shown[-4])]
    assert min(heights) < 0.95 * max(heights)


def test_covers_are_uniform_and_leave_the_rest():
    mouth, side = degraded("mouth-covered"), degraded("side-covered")
    assert np.unique(mouth[130:]).size == 1
    np.testing.assert_array_equal(mouth[:120], picture()[:120])
    halves = [np.unique(half).size == 1 for half in (side[:, :112], side[:, 112:])]
    assert sorted(halves) == [False, True]
