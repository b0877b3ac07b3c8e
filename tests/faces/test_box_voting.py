from __future__ import annotations

import numpy as np
import pytest

from vacli.faces.box_voting import BOX, POINTS, SCORE, VOTER_OVERLAP, voted
from vacli.faces.detect import (
    anchor_table,
    boxes_from_offsets,
    landmarks_from_offsets,
    overlap,
    suppress,
)


def plainly_voted(outputs, anchors, least_score):
    """The same in NumPy, by the functions that decode whole pictures."""
    offsets, logits, points = outputs
    scores = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    likely = np.flatnonzero(scores > least_score)
    boxes = boxes_from_offsets(offsets[likely], anchors[likely])
    landmarks, scores = landmarks_from_offsets(points[likely], anchors[likely]), scores[likely]
    faces = []
    for best in suppress(boxes, scores, VOTER_OVERLAP):
        voters = overlap(boxes[best], boxes) > VOTER_OVERLAP
        weights = scores[voters] / scores[voters].sum()
        mean = [weights @ boxes[voters], np.tensordot(weights, landmarks[voters], 1).ravel()]
        faces.append(np.concatenate([[scores[best]], *mean]))
    return np.array(faces).reshape(-1, 15)


@pytest.mark.parametrize("seed", range(4))
def test_votes_are_those_of_the_plain_way(seed):
    draw = np.random.default_rng(seed)
    anchors = anchor_table(64, 64, first_stride=1)
    shapes = ((4, 0.8), (2, 3.0), (10, 1.0))
    outputs = tuple((spread * draw.standard_normal((len(anchors), n))).astype("f4") for n, spread in shapes)
    faces, plain = voted(outputs, anchors, 0.9), plainly_voted(outputs, anchors, 0.9)
    assert len(faces) == len(plain) > 1
    np.testing.assert_allclose(faces, plain, rtol=1e-4, atol=1e-3)
    assert (np.diff(faces[:, SCORE]) <= 0).all()
    assert faces[:, BOX].shape[1] + faces[:, POINTS].shape[1] == 14


def test_nobody_votes_where_nothing_is_likely():
    anchors = anchor_table(32, 32, first_stride=1)
    outputs = tuple(np.zeros((len(anchors), n), np.float32) for n in (4, 2, 10))
    assert voted(outputs, anchors, 0.9).shape == (0, 15)
