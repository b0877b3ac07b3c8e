from __future__ import annotations

import numpy as np
from PIL import Image

from vacli.faces.align import TEMPLATE_224, umeyama
from vacli.faces.lower_face import mouth_motion, mouth_opening, sample_lower_face

RNG = np.random.default_rng(0)


def texture(side: int = 224) -> np.ndarray:
    """(side, side, 3) uint8: a smooth pattern."""
    coarse = RNG.uniform(40, 200, (14, 14, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


def cells_of(picture: np.ndarray, landmarks: np.ndarray = TEMPLATE_224) -> np.ndarray:
    return sample_lower_face(picture, landmarks)


def test_cells_are_means_of_green_of_the_lower_face():
    picture = texture()
    expected = picture[112:224, 56:168, 1].astype(float).reshape(14, 8, 14, 8).mean(axis=(1, 3))
    np.testing.assert_allclose(cells_of(picture), expected, atol=2)


def test_cells_do_not_depend_on_size_place_and_rotation():
    picture = texture()
    matrix = np.array([[0.42, -0.12, 90.0], [0.12, 0.42, 30.0]])
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
    turned = Image.fromarray(picture).transform(
        (320, 240), Image.Transform.AFFINE, inverse[:2].ravel(), Image.Resampling.BILINEAR
    )
    landmarks = TEMPLATE_224 @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(umeyama(TEMPLATE_224, landmarks), matrix, atol=1e-9)
    inner = np.s_[1:-1, 1:-1]
    np.testing.assert_allclose(
        cells_of(np.asarray(turned), landmarks)[inner], cells_of(picture)[inner], atol=6
    )


def test_a_moved_head_moves_the_mouth_little_and_an_opened_mouth_much():
    picture = texture()
    opened = picture.copy()
    opened[180:205, 90:135] = 20  # a dark mouth
    moved = cells_of(picture, TEMPLATE_224 + [1.5, -1.0])
    brighter = cells_of(picture) * 1.1 + 5
    pairs = [(cells_of(picture), other) for other in (moved, brighter, cells_of(opened))]
    still, light, speech = (mouth_motion(np.stack(pair), np.array([0.04]))[0] for pair in pairs)
    assert light < 1e-3
    assert still < 0.2 * speech
    assert speech > 0.05


def test_noise_of_the_camera_is_no_motion():
    cells = cells_of(texture())
    noisy = cells + RNG.normal(0, 3, (200, 14, 14))
    motion = mouth_motion(noisy, np.full(199, 0.04))
    assert motion.min() >= 0
    assert motion.mean() < 0.01


def test_motion_is_per_time_and_does_not_depend_on_the_other_frames():
    cells = cells_of(texture()) + RNG.normal(0, 9, (5, 14, 14)) * (np.arange(14) > 6)[:, np.newaxis]
    steps_s = np.array([0.04, 0.04, 0.08, 0.04])
    together = mouth_motion(cells, steps_s)
    for i in range(4):
        assert mouth_motion(cells[i : i + 2], steps_s[i : i + 1])[0] == together[i]
    np.testing.assert_allclose(mouth_motion(cells[2:4], np.array([0.04])), 2 * together[2:3])


def test_a_flat_picture_has_no_motion():
    flat = np.full((3, 14, 14), 90.0)
    np.testing.assert_array_equal(mouth_motion(flat, np.full(2, 0.04)), 0)


def test_the_opening_is_relative_to_the_distance_of_the_eyes():
    lowered = TEMPLATE_224 + np.array([[0, 0]] * 3 + [[0, 10]] * 2)
    closed, opened, larger = mouth_opening(np.stack([TEMPLATE_224, lowered, 3 * TEMPLATE_224 + 7]))
    eyes = np.linalg.norm(TEMPLATE_224[1] - TEMPLATE_224[0])
    np.testing.assert_allclose(opened - closed, 10 / eyes, atol=0.01)
    np.testing.assert_allclose(larger, closed)
