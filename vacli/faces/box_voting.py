"""What the anchors around a known face say, as one compiled loop: it runs for every face of every frame."""

from __future__ import annotations

import math

import numpy as np

from vacli.faces.detect import CENTRE_VARIANCE, SIZE_VARIANCE
from vacli.runtime.jit import compiled

VOTER_OVERLAP = 0.5
SCORE, BOX, POINTS = 0, slice(1, 5), slice(5, 15)  # columns of a face
WIDTH = 15

F32 = np.float32


# Written out, without NumPy's functions of whole arrays: those take numba ten seconds to compile.
@compiled(nogil=True)
def _decode(offsets, points, anchor, row):
    """Box and landmarks of one anchor into `row`, as `detect.boxes_from_offsets` has them."""
    for axis in range(2):
        side = anchor[2 + axis]
        centre = anchor[axis] + offsets[axis] * F32(CENTRE_VARIANCE) * side
        half = side * math.exp(offsets[2 + axis] * F32(SIZE_VARIANCE)) / F32(2)
        row[1 + axis], row[3 + axis] = centre - half, centre + half
        for point in range(5):
            row[5 + 2 * point + axis] = anchor[axis] + points[2 * point + axis] * F32(CENTRE_VARIANCE) * side


@compiled(nogil=True)
def _overlap(one, other):
    """Intersection over union of the boxes of two rows."""
    width = min(one[3], other[3]) - max(one[1], other[1])
    height = min(one[4], other[4]) - max(one[2], other[2])
    shared = max(width, F32(0)) * max(height, F32(0))
    both = (one[3] - one[1]) * (one[4] - one[2]) + (other[3] - other[1]) * (other[4] - other[2])
    return shared / max(both - shared, F32(1e-30))


@compiled(nogil=True)
def _mean(decoded, left, count, best, face):
    """Into `face` the mean of the `count` rows that overlap the best one; they are not `left` any more."""
    weight = F32(0)
    for column in range(WIDTH):
        face[column] = F32(0)
    for row in range(count):
        if row == best or _overlap(decoded[best], decoded[row]) > VOTER_OVERLAP:
            left[row] = False
            for column in range(WIDTH):
                face[column] += decoded[row, SCORE] * decoded[row, column]
            weight += decoded[row, SCORE]
    for column in range(WIDTH):
        face[column] /= weight
    face[SCORE] = decoded[best, SCORE]


def _voting(types):
    table = types.Array(types.float32, 2, "C", readonly=True)
    made = types.float32[:, ::1]
    return types.int64(table, table, table, table, types.float32, made, made, types.boolean[::1])


@compiled(_voting, nogil=True)
def _voted(offsets, logits, points, anchors, least_margin, decoded, faces, left):
    """How many `faces` were found; `decoded` and `left` are room for as many rows as there are anchors."""
    count = 0
    for anchor in range(len(logits)):
        if logits[anchor, 1] - logits[anchor, 0] > least_margin:
            _decode(offsets[anchor], points[anchor], anchors[anchor], decoded[count])
            decoded[count, SCORE] = F32(1) / (F32(1) + math.exp(logits[anchor, 0] - logits[anchor, 1]))
            left[count] = True
            count += 1
    kept = 0
    while True:
        best = -1
        for row in range(count):
            if left[row] and (best < 0 or decoded[row, SCORE] > decoded[best, SCORE]):
                best = row
        if best < 0:
            return kept
        _mean(decoded, left, count, best, faces[kept])
        kept += 1


def voted(
    outputs: tuple[np.ndarray, np.ndarray, np.ndarray], anchors: np.ndarray, least_score: float
) -> np.ndarray:
    """Faces (K, 15) float32, best first: score of the best anchor, box x0 y0 x1 y1, landmarks x y.

    outputs: offsets (A, 4), logits (A, 2) and points (A, 10) of the network at `anchors` (A, 4), cx cy w h.
    Box and landmarks are the means over all anchors that overlap the best one, weighted by their scores.
    """
    least_margin = math.log(least_score / (1 - least_score))
    decoded, faces = np.empty((2, len(anchors), WIDTH), F32)
    found = _voted(*outputs, anchors, F32(least_margin), decoded, faces, np.zeros(len(anchors), bool))
    return faces[:found].copy()
