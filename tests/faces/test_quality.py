"""Sharpness of a face, its factors and its difficulty."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from vacli.faces.align import TEMPLATE_224
from vacli.faces.quality import face_difficulty, sharpness

NAN = float("nan")


def face(contrast: float = 1.0, noise: float = 0.0) -> np.ndarray:
    """A crop with a pattern of four cycles between the eyes and the mouth, around middle grey."""
    x = np.arange(224) / 112 * 2 * np.pi * 4
    rng = np.random.default_rng(0)
    luma = 128 + contrast * 60 * np.sin(x) * np.sin(x)[:, np.newaxis] + noise * rng.normal(size=(224, 224))
    return np.repeat(luma.round().clip(0, 255).astype(np.uint8)[..., np.newaxis], 3, axis=2)


def blurred(crop: np.ndarray, sigma_px: float) -> np.ndarray:
    return np.asarray(Image.fromarray(crop).filter(ImageFilter.GaussianBlur(sigma_px)))


def difficulty(score=0.999, size_px=100.0, landmarks=TEMPLATE_224, sharp=0.5) -> float:
    """The difficulty of one clear face, or of one with the given measures."""
    box = np.array([[5.0, 5.0, 5 + size_px, 5 + size_px / 2]])
    return float(face_difficulty(np.array([score]), box, np.array([landmarks]), np.array([sharp]))[0])


def test_sharpness_has_a_known_value():
    # The Laplacian of sin(a x) sin(a y), 28 samples for 4 cycles, is 4 cos(a) - 4 times it.
    crop = np.repeat(np.repeat(face(0.5)[::4, ::4], 4, axis=0), 4, axis=1)
    expected = (4 * np.cos(2 * np.pi * 4 / 28) - 4) ** 2
    assert sharpness(crop) == pytest.approx(expected * (15 / 19) ** 2, rel=0.1)


def test_sharpness_falls_with_blur():
    shaded = face() // 2 + np.linspace(0, 120, 224).astype(np.uint8)[:, np.newaxis]
    values = [sharpness(blurred(shaded, sigma)) for sigma in (0, 3, 6, 12)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 10 * values[2]


def test_contrast_and_fine_noise_change_sharpness_little():
    assert sharpness(face(0.3)) == pytest.approx(sharpness(face()), rel=0.5)
    assert sharpness(face(noise=15)) == pytest.approx(sharpness(face()), rel=0.3)


def test_sharpness_ignores_the_border_of_a_picture():
    crop = np.full((224, 224, 3), 128, np.uint8)
    crop[:, :40] = crop[205:] = 0
    assert sharpness(crop) == 0


def test_sharpness_does_not_depend_on_the_size_of_the_crop():
    small = np.asarray(Image.fromarray(face()).resize((112, 112), Image.Resampling.BOX))
    assert sharpness(small) == pytest.approx(sharpness(face()), rel=0.02)


def test_a_clear_face_has_no_difficulty():
    assert difficulty() == 0


@pytest.mark.parametrize(
    "measures",
    [
        {"score": 0.5},
        {"size_px": 8.0},
        {"sharp": 0.001},
        {"landmarks": TEMPLATE_224 * (0, 1)},
    ],
)
def test_each_measure_can_make_a_face_as_difficult_as_possible(measures):
    assert difficulty(**measures) == 1


def test_the_worst_measure_decides():
    assert 0 < difficulty(sharp=0.1) < difficulty(sharp=0.02) == difficulty(sharp=0.02, score=0.98) < 1


def test_unknown_measures_add_no_difficulty():
    nowhere = np.full((5, 2), NAN)
    assert difficulty(NAN, NAN, nowhere, NAN) == 0
    assert difficulty(NAN, NAN, nowhere, 0.02) == difficulty(sharp=0.02) > 0
