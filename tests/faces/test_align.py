from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from synth.faces import portrait

from vacli.faces.align import TEMPLATE_224, align_face, resize_crop, umeyama


def similarity(angle: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.column_stack([scale * turn, shift])


def applied(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:, :2].T + matrix[:, 2]


@settings(deadline=None)
@given(st.floats(-3, 3), st.floats(0.05, 20), st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)))
def test_umeyama_recovers_a_known_similarity(angle, scale, shift):
    truth = similarity(angle, scale, shift)
    np.testing.assert_allclose(
        umeyama(TEMPLATE_224, applied(truth, TEMPLATE_224)), truth, atol=1e-6 * scale + 1e-6
    )


def test_umeyama_agrees_with_an_independent_fit_of_noisy_points():
    rng = np.random.default_rng(1)
    source = TEMPLATE_224 * 0.7 + rng.normal(0, 8, (5, 2))
    # x' = a x - b y + c and y' = b x + a y + d, as linear equations for a, b, c, d.
    (x, y), one, none = source.T, np.ones(5), np.zeros(5)
    equations = np.concatenate([np.stack([x, -y, one, none], axis=1), np.stack([y, x, none, one], axis=1)])
    (a, b, c, d), *_ = np.linalg.lstsq(equations, TEMPLATE_224.T.reshape(-1), rcond=None)
    np.testing.assert_allclose(umeyama(source, TEMPLATE_224), [[a, -b, c], [b, a, d]], atol=1e-9)


def test_umeyama_excludes_reflections():
    mirrored = TEMPLATE_224 * [-1, 1] + [224, 0]
    assert np.linalg.det(umeyama(mirrored, TEMPLATE_224)[:, :2]) > 0


def test_a_face_on_the_template_is_not_changed():
    face = np.ascontiguousarray(portrait()[20:244, 120:344])
    difference = align_face(face, TEMPLATE_224).astype(int) - face
    assert np.abs(difference).max() <= 1  # rounding


def test_alignment_takes_the_landmarks_to_the_template():
    picture = np.zeros((400, 500, 3), np.uint8)
    points = applied(similarity(0.4, 0.9, (180, 60)), TEMPLATE_224)
    for x, y in points:
        picture[round(y) - 3 : round(y) + 3, round(x) - 3 : round(x) + 3] = 255
    bright = align_face(picture, points)[..., 0].astype(float)
    for x, y in TEMPLATE_224:
        window = bright[round(y) - 8 : round(y) + 8, round(x) - 8 : round(x) + 8]
        rows, columns = np.mgrid[-8:8, -8:8] + 0.5
        centre = np.array([(window * columns).sum(), (window * rows).sum()]) / window.sum()
        assert np.abs(centre + [round(x), round(y)] - [x, y]).max() < 0.7


def test_reduction_does_not_alias():
    board = np.tile(np.uint8([[0, 255], [255, 0]]), (500, 500))[..., None].repeat(3, 2)
    crop = align_face(board, TEMPLATE_224 * 4.3 + 5)
    assert np.ptp(crop[8:-8, 8:-8].astype(int)) < 40


def test_pixels_outside_the_picture_are_black():
    white = np.full((224, 224, 3), 255, np.uint8)
    crop = align_face(white, TEMPLATE_224 + [112, 0])
    assert crop[:, :100].min() == 255
    assert crop[:, 124:].max() == 0
    assert align_face(white, TEMPLATE_224 + 10_000).max() == 0


def test_other_crops_are_resized():
    small = portrait()[:112, :112]
    assert resize_crop(small).shape == (224, 224, 3)
    assert resize_crop(resize_crop(small)) is not None
    assert abs(float(resize_crop(small).mean()) - float(small.mean())) < 1
