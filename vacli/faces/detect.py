"""Face detection on whole pictures: RetinaFace (Deng et al., CVPR 2020, arXiv 1905.00641)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from vacli.faces.retinaface import full_session

if TYPE_CHECKING:
    import onnxruntime

MEAN_BGR = np.array([104, 117, 127], dtype=np.float32)  # subtracted in the network's training
STRIDES_PX = (8, 16, 32)
ANCHORS_PX = ((16, 32), (64, 128), (256, 512))  # two sides per cell of each stride
CENTRE_VARIANCE = 0.1
SIZE_VARIANCE = 0.2
MIN_INPUT_PX = 32  # one cell of the coarsest stride


@dataclass(frozen=True, eq=False)
class Detection:
    """One face.

    box: (4,) float32 x0 y0 x1 y1. landmarks: (5, 2) float32 x y of left eye, right eye, nose, left and right
    mouth corner, where left is the left of the upright picture. Unit: pixels; pixel (0, 0) has its centre at
    0.5, 0.5. quarter_turns: by how many counter-clockwise quarter turns the picture was rotated for it.
    """

    box: np.ndarray
    score: float
    landmarks: np.ndarray
    quarter_turns: int = 0

    @property
    def size_px(self) -> float:
        """Return the longer side of the box."""
        return float(max(self.box[2] - self.box[0], self.box[3] - self.box[1]))

    @property
    def centre(self) -> np.ndarray:
        """Return the centre of the box, (2,) float32 x y."""
        return (self.box[:2] + self.box[2:]) / 2

    def rescaled(self, scale: float, offset: tuple[float, float]) -> Detection:
        """Return the detection in a picture that is enlarged by `scale` and then moved by `offset` (x, y)."""
        shift = np.asarray(offset, np.float32)
        box = self.box * np.float32(scale) + np.tile(shift, 2)
        landmarks = self.landmarks * np.float32(scale) + shift
        return Detection(box, self.score, landmarks, self.quarter_turns)

    def rotated_back(self, quarter_turns: int, size_px: tuple[int, int]) -> Detection:
        """Return the detection in the picture of `size_px` (width, height) before its rotation.

        quarter_turns: by how many counter-clockwise quarter turns that picture was rotated.
        """
        points = np.concatenate([self.landmarks, self.box.reshape(2, 2)])
        sides = size_px if quarter_turns % 2 else size_px[::-1]
        for turn in range(quarter_turns % 4):
            # Undo one turn: the upper edge of the rotated picture is the right edge of the other.
            points = np.stack([sides[turn % 2] - points[:, 1], points[:, 0]], axis=1)
        box = np.concatenate([points[5:].min(axis=0), points[5:].max(axis=0)])
        return Detection(box, self.score, points[:5], quarter_turns % 4)


@dataclass(frozen=True)
class Detector:
    """Detects faces at the scale of the given picture; thread-safe. `threads` are those of onnxruntime."""

    threads: int = 1
    score_threshold: float = 0.9
    nms_threshold: float = 0.4
    session: onnxruntime.InferenceSession = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "session", full_session(self.threads))

    def detect(self, rgb: np.ndarray) -> list[Detection]:
        """Detect the faces of one picture, (H, W, 3) uint8 RGB, best score first."""
        return self.detect_batch(rgb[np.newaxis])[0]

    def detect_batch(self, pictures: np.ndarray) -> list[list[Detection]]:
        """Detect the faces of each of several pictures of one size, (N, H, W, 3) uint8 RGB."""
        height, width = pictures.shape[1:3]
        if min(height, width) < MIN_INPUT_PX:
            pad = [max(MIN_INPUT_PX - side, 0) for side in (height, width)]
            pictures = np.pad(pictures, ((0, 0), (0, pad[0]), (0, pad[1]), (0, 0)))
            height, width = pictures.shape[1:3]
        offsets, scores, points = self.session.run(None, {"input": network_input(pictures)})
        anchors = anchor_table(height, width)
        return [self._decode(*rows, anchors) for rows in zip(offsets, scores, points, strict=True)]

    def _decode(
        self, offsets: np.ndarray, scores: np.ndarray, points: np.ndarray, anchors: np.ndarray
    ) -> list[Detection]:
        confident = np.flatnonzero(scores[:, 1] > self.score_threshold)
        if not len(confident):
            return []
        score, anchor = scores[confident, 1], anchors[confident]
        box = boxes_from_offsets(offsets[confident], anchor)
        landmarks = landmarks_from_offsets(points[confident], anchor)
        return [Detection(box[k], float(score[k]), landmarks[k]) for k in nms(box, score, self.nms_threshold)]


def boxes_from_offsets(offsets: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Decode the box head. offsets, anchors: (K, 4), anchors as cx cy w h. Returns (K, 4) x0 y0 x1 y1."""
    centre = anchors[:, :2] + offsets[:, :2] * CENTRE_VARIANCE * anchors[:, 2:]
    half = anchors[:, 2:] * np.exp(offsets[:, 2:] * SIZE_VARIANCE) / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def landmarks_from_offsets(offsets: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Decode the landmark head. offsets: (K, 10), anchors: (K, 4). Returns (K, 5, 2)."""
    side = anchors[:, np.newaxis, 2:]
    return anchors[:, np.newaxis, :2] + offsets.reshape(-1, 5, 2) * CENTRE_VARIANCE * side


@lru_cache(maxsize=16)
def anchor_table(height: int, width: int, first_stride: int = 0) -> np.ndarray:
    """Return the anchors (A, 4) float32 cx cy w h in pixels, in the order of the network's outputs."""
    tables = []
    for stride, sides in list(zip(STRIDES_PX, ANCHORS_PX, strict=True))[first_stride:]:
        rows, columns = -(-height // stride), -(-width // stride)
        y, x, side = np.meshgrid(np.arange(rows), np.arange(columns), sides, indexing="ij")
        centre_x, centre_y = (x + 0.5) * stride, (y + 0.5) * stride
        tables.append(np.stack([centre_x, centre_y, side, side], axis=-1).reshape(-1, 4))
    return np.concatenate(tables).astype(np.float32)


def iou(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return the intersection over union of one box (4,) with each of (K, 4), x0 y0 x1 y1."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) + np.prod(box[2:] - box[:2])
    return shared / np.maximum(areas - shared, np.finfo(np.float32).tiny)


def nms(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    """Return the indices that greedy non-maximum suppression keeps, best score first."""
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(int(best))
        order = order[iou(boxes[best], boxes[order]) <= threshold]
    return kept


def network_input(pictures: np.ndarray) -> np.ndarray:
    """Convert (N, H, W, 3) uint8 RGB to (N, 3, H, W) float32 BGR minus the means."""
    planes = pictures.transpose(0, 3, 1, 2)[:, ::-1]
    return np.subtract(planes, MEAN_BGR[:, np.newaxis, np.newaxis], dtype=np.float32, order="C")
