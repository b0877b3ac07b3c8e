"""Boxes of faces at every frame, and the pixels that replace them."""

from __future__ import annotations

import numpy as np
import pytest
from synth.faces import portrait

from vacli.media.yuv import BT601, Planes, planes_of_rgb
from vacli.output.overlay.face_hiding import CELLS, HOLD_S, box_spans, boxes_at, hide_faces

TIMES_S = np.arange(250) / 25
FACE = np.array([[180.0, 60.0, 275.0, 180.0]])  # in the portrait


def test_boxes_are_interpolated_and_held():
    rows = np.array([50, 60])
    spans = box_spans(TIMES_S, rows, np.array([[0.0, 0, 10, 10], [20, 0, 30, 10]]))
    np.testing.assert_allclose(boxes_at(spans, 55), [[10, 0, 20, 10]])
    held = round(HOLD_S * 25)
    np.testing.assert_allclose(boxes_at(spans, 51 - held), [[0, 0, 10, 10]])
    np.testing.assert_allclose(boxes_at(spans, 59 + held), [[20, 0, 30, 10]])
    assert not len(boxes_at(spans, 49 - held))
    assert not len(boxes_at(spans, 61 + held))


def test_a_long_absence_is_not_interpolated():
    spans = box_spans(TIMES_S, np.array([10, 200]), np.array([[0.0, 0, 10, 10], [90, 0, 99, 10]]))
    assert not len(boxes_at(spans, 100))
    assert len(boxes_at(spans, 10)) == len(boxes_at(spans, 200)) == 1


def test_the_boxes_of_all_faces_are_found():
    spans = [
        *box_spans(TIMES_S, np.arange(100), np.tile([[0.0, 0, 10, 10]], (100, 1))),
        *box_spans(TIMES_S, np.arange(50, 100), np.tile([[50.0, 0, 60, 10]], (50, 1))),
    ]
    assert boxes_at(spans, 80).tolist() == [[0, 0, 10, 10], [50, 0, 60, 10]]


def hidden() -> tuple[Planes, Planes]:
    picture, original = (planes_of_rgb(portrait(), BT601) for _ in range(2))
    hide_faces(picture, FACE)
    return picture, original


def test_a_hidden_face_has_few_independent_pixels():
    """The pixels are smooth between few cells: four numbers a side describe them."""
    picture, _ = hidden()
    left, top, right, bottom = FACE[0].astype(int)
    face = picture.y[top:bottom, left:right].astype(float)
    values = np.linalg.svd(face - face.mean(), compute_uv=False)
    assert (values**2)[: 2 * CELLS].sum() > 0.999 * (values**2).sum()


def test_a_hidden_face_lacks_all_details():
    picture, original = hidden()
    left, top, right, bottom = FACE[0].astype(int)
    hidden_face, face = (planes.y[top:bottom, left:right].astype(float) for planes in (picture, original))
    details = [np.abs(np.diff(values, axis=1)).mean() for values in (hidden_face, face)]
    assert details[0] < 0.35 * details[1]
    fine = [(values - _smooth(values))[10:-10, 10:-10] for values in (hidden_face, face)]
    assert abs(np.corrcoef(fine[0].ravel(), fine[1].ravel())[0, 1]) < 0.2


def _smooth(values: np.ndarray) -> np.ndarray:
    """Means over 7 x 7 pixels."""
    kernel = np.ones(7) / 7
    rows = np.apply_along_axis(np.convolve, 1, values, kernel, "same")
    return np.apply_along_axis(np.convolve, 0, rows, kernel, "same")


def test_colours_are_hidden_too():
    picture, original = hidden()
    left, top, right, bottom = FACE[0].astype(int) // 2
    for plane, before in ((picture.u, original.u), (picture.v, original.v)):
        assert plane[top:bottom, left:right].std() < before[top:bottom, left:right].std()


def test_pixels_far_from_the_face_stay():
    picture, original = hidden()
    np.testing.assert_array_equal(picture.y[300:], original.y[300:])
    np.testing.assert_array_equal(picture.y[:, :120], original.y[:, :120])


@pytest.mark.parametrize(
    "box", [(-50, -50, 20, 20), (500, 500, 600, 600), (700, 10, 900, 50), (5, 5, 6, 6), (0, 0, 512, 512)]
)
def test_boxes_at_the_edges_are_cut_off(box):
    picture = planes_of_rgb(portrait(), BT601)
    hide_faces(picture, np.array([box], float))
    assert picture.y.shape == (512, 512)
