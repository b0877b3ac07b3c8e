"""Box voting over the anchors around a known face, as one compiled loop that runs for every face and frame.

S. Gidaris and N. Komodakis, "Object detection via a multi-region and semantic segmentation-aware CNN model",
ICCV 2015, section 5.3. `box_voting_reference` is the plain version.
"""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np

from vacli.faces.detect import (
    CENTRE_VARIANCE,
    SIZE_VARIANCE,
    boxes_from_offsets,
    iou,
    landmarks_from_offsets,
    nms,
)
from vacli.runtime.jit import compiled

VOTER_IOU = 0.5
SCORE, BOX, POINTS = 0, slice(1, 5), slice(5, 15)  # columns of a face
WIDTH = 15

F32 = np.float32


# Written out, without NumPy's functions of whole arrays: those take numba ten seconds to compile.
@compiled(nogil=True)
def _decode(offsets: np.ndarray, points: np.ndarray, anchor: np.ndarray, row: np.ndarray) -> None:
    """Decode box and landmarks of one anchor into `row`, as `detect.boxes_from_offsets` does."""
    for axis in range(2):
        side = anchor[2 + axis]
        centre = anchor[axis] + offsets[axis] * F32(CENTRE_VARIANCE) * side
        half = side * math.exp(offsets[2 + axis] * F32(SIZE_VARIANCE)) / F32(2)
        row[1 + axis], row[3 + axis] = centre - half, centre + half
        for point in range(5):
            row[5 + 2 * point + axis] = anchor[axis] + points[2 * point + axis] * F32(CENTRE_VARIANCE) * side


@compiled(nogil=True)
def _iou(one: np.ndarray, other: np.ndarray) -> float:
    """Return the intersection over union of the boxes of two rows."""
    width = min(one[3], other[3]) - max(one[1], other[1])
    height = min(one[4], other[4]) - max(one[2], other[2])
    shared = max(width, F32(0)) * max(height, F32(0))
    both = (one[3] - one[1]) * (one[4] - one[2]) + (other[3] - other[1]) * (other[4] - other[2])
    return shared / max(both - shared, F32(1e-30))


@compiled(nogil=True)
def _vote(decoded: np.ndarray, left: np.ndarray, count: int, best: int, face: np.ndarray) -> None:
    """Write the mean of the rows that overlap the best one into `face` and clear their `left` flags."""
    weight = F32(0)
    for column in range(WIDTH):
        face[column] = F32(0)
    for row in range(count):
        if row == best or _iou(decoded[best], decoded[row]) > VOTER_IOU:
            left[row] = False
            for column in range(WIDTH):
                face[column] += decoded[row, SCORE] * decoded[row, column]
            weight += decoded[row, SCORE]
    for column in range(WIDTH):
        face[column] /= weight
    face[SCORE] = decoded[best, SCORE]


def _voting_signature(types: ModuleType) -> object:
    table = types.Array(types.float32, 2, "C", readonly=True)
    made = types.float32[:, ::1]
    return types.int64(table, table, table, table, types.float32, made, made, types.boolean[::1])


@compiled(_voting_signature, nogil=True)
def _box_voting(
    offsets: np.ndarray,
    logits: np.ndarray,
    points: np.ndarray,
    anchors: np.ndarray,
    min_margin: float,
    decoded: np.ndarray,
    faces: np.ndarray,
    left: np.ndarray,
) -> int:
    """Fill `faces` and return their number; `decoded` and `left` are work space, one row per anchor."""
    count = 0
    for anchor in range(len(logits)):
        if logits[anchor, 1] - logits[anchor, 0] > min_margin:
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
        _vote(decoded, left, count, best, faces[kept])
        kept += 1


def box_voting(
    outputs: tuple[np.ndarray, np.ndarray, np.ndarray], anchors: np.ndarray, min_score: float
) -> np.ndarray:
    """Return faces (K, 15) float32, best first: score of the best anchor, box x0 y0 x1 y1, landmarks x y.

    outputs: offsets (A, 4), logits (A, 2) and points (A, 10) of the network at `anchors` (A, 4), cx cy w h.
    Box and landmarks are the means over all anchors that overlap the best one, weighted by their scores.
    """
    min_margin = math.log(min_score / (1 - min_score))
    decoded, faces = np.empty((2, len(anchors), WIDTH), F32)
    found = _box_voting(*outputs, anchors, F32(min_margin), decoded, faces, np.zeros(len(anchors), bool))
    return faces[:found].copy()


def box_voting_reference(
    outputs: tuple[np.ndarray, np.ndarray, np.ndarray], anchors: np.ndarray, min_score: float
) -> np.ndarray:
    """Compute `box_voting` in plain NumPy; the tests compare the two."""
    offsets, logits, points = outputs
    scores = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    confident = np.flatnonzero(scores > min_score)
    boxes = boxes_from_offsets(offsets[confident], anchors[confident])
    landmarks, scores = landmarks_from_offsets(points[confident], anchors[confident]), scores[confident]
    faces = []
    for best in nms(boxes, scores, VOTER_IOU):
        voters = iou(boxes[best], boxes) > VOTER_IOU
        weights = scores[voters] / scores[voters].sum()
        mean = [weights @ boxes[voters], np.tensordot(weights, landmarks[voters], 1).ravel()]
        faces.append(np.concatenate([[scores[best]], *mean]))
    return np.array(faces, F32).reshape(-1, WIDTH)
