from __future__ import annotations

import numpy as np
import pytest

from vacli.faces.box_voting import BOX, POINTS, SCORE, box_voting, box_voting_reference
from vacli.faces.detect import anchor_table


@pytest.mark.parametrize("seed", range(4))
def test_box_voting_equals_the_reference(seed):
    rng = np.random.default_rng(seed)
    anchors = anchor_table(64, 64, first_stride=1)
    shapes = ((4, 0.8), (2, 3.0), (10, 1.0))
    outputs = tuple((scale * rng.standard_normal((len(anchors), n))).astype("f4") for n, scale in shapes)
    faces, reference = box_voting(outputs, anchors, 0.9), box_voting_reference(outputs, anchors, 0.9)
    assert len(faces) == len(reference) > 1
    np.testing.assert_allclose(faces, reference, rtol=1e-4, atol=1e-3)
    assert (np.diff(faces[:, SCORE]) <= 0).all()
    assert faces[:, BOX].shape[1] + faces[:, POINTS].shape[1] == 14


def test_low_scores_give_no_face():
    anchors = anchor_table(32, 32, first_stride=1)
    outputs = tuple(np.zeros((len(anchors), n), np.float32) for n in (4, 2, 10))
    assert box_voting(outputs, anchors, 0.9).shape == (0, 15)
    assert box_voting_reference(outputs, anchors, 0.9).shape == (0, 15)
