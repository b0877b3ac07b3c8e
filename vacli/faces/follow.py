"""The faces of a video, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vacli.faces.align import warp
from vacli.faces.detect import Detection, Detector
from vacli.faces.quality import sharpness


@dataclass(frozen=True, eq=False)
class Face:
    """One face in one frame. box (4,) and landmarks (5, 2) float32 in the frame's pixels; crop
    (224, 224, 3) uint8; blur: variance of the Laplacian; size_px: the longer side of the box."""

    track: int
    box: np.ndarray
    landmarks: np.ndarray
    score: float
    crop: np.ndarray
    blur: float
    size_px: float


@dataclass(frozen=True, eq=False)
class FaceFrame:
    """The faces of one frame; none where nobody is seen."""

    index: int
    time_s: float
    faces: tuple[Face, ...]


@dataclass(frozen=True)
class FaceSettings:
    """How faces are looked for."""

    score_threshold: float = 0.9


def follow(reader, settings: FaceSettings = FaceSettings()) -> Iterator[FaceFrame]:
    """The faces of each frame that `reader` gives, in its order."""
    detector = Detector(score_threshold=settings.score_threshold)
    for frame in reader:
        found = detector.detect(frame.rgb)
        yield FaceFrame(frame.index, frame.time_s, tuple(_face(0, frame.rgb, d) for d in found[:1]))


def _face(track: int, rgb: np.ndarray, found: Detection) -> Face:
    crop = warp(rgb, found.landmarks)
    blur = sharpness(crop)
    return Face(track, found.box, found.landmarks, found.score, crop, blur, found.size_px)
