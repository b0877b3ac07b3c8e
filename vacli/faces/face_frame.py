"""The faces of one frame: what is known of each, and the aligned crops."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vacli.faces.align import align_face
from vacli.faces.detect import Detection
from vacli.faces.lower_face import sample_lower_face
from vacli.faces.quality import sharpness
from vacli.media.reader import Frame


@dataclass(frozen=True, eq=False)
class Face:
    """One face in one frame.

    box (4,) and landmarks (5, 2) float32 in the frame's pixels; crop (224, 224, 3) uint8, or None where it
    was not asked for; sharpness: `quality.sharpness` of the crop, NaN without one; size_px: the longer side
    of the box; lower_face: `lower_face.sample_lower_face`, None where it was not asked for.
    """

    track_id: int
    box: np.ndarray
    landmarks: np.ndarray
    score: float
    crop: np.ndarray | None
    sharpness: float
    size_px: float
    lower_face: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class FaceFrame:
    """The faces of one frame, by track id; an empty tuple if there are none."""

    index: int
    time_s: float
    faces: tuple[Face, ...]


@dataclass(frozen=True)
class FaceSettings:
    """score_threshold: of the detector. crop_every: every so many frames the faces are aligned.

    lower_face_every: every so many frames the lower faces are sampled; None for never. blank_search_s: the
    time between two searches while no face was visible for BLANK_S; 0 for one in every frame.
    """

    score_threshold: float = 0.9
    crop_every: int = 1
    lower_face_every: int | None = None
    blank_search_s: float = 0.0


def align_faces(frame: Frame, faces: list[tuple[int, Detection]], settings: FaceSettings) -> FaceFrame:
    """Return the faces of a frame with their crops and lower faces where these are asked for."""
    every = settings.lower_face_every
    has_crop = frame.index % settings.crop_every == 0
    has_lower_face = every is not None and frame.index % every == 0

    def face(track_id: int, found: Detection) -> Face:
        crop = align_face(frame.rgb, found.landmarks) if has_crop else None
        lower_face = sample_lower_face(frame.rgb, found.landmarks) if has_lower_face else None
        sharp = math.nan if crop is None else sharpness(crop)
        return Face(track_id, found.box, found.landmarks, found.score, crop, sharp, found.size_px, lower_face)

    return FaceFrame(frame.index, frame.time_s, tuple(face(*item) for item in faces))
