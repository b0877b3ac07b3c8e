"""Detection of rotated and upside-down faces.

The detector was trained on upright faces. It also detects rotated ones, often with a high score, but its
landmarks are wrong: by 20 % of the distance between the eyes on clips rotated by 90 degrees, by any amount on
upside-down faces. The roll of these landmarks is right to 15 degrees unless the face is upside down. So a
face with a large roll is detected again in the picture rotated by quarter turns, where it is upright.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from vacli.faces.align import TEMPLATE_224
from vacli.faces.detect import Detection
from vacli.faces.roi_detect import RegionDetector

MAX_ROLL_DEG = 50.0  # beyond it the next quarter turn is nearer; the margin over 45 avoids oscillation
MAX_UPRIGHT_ROLL_DEG = 60.0
# Measured: upright faces have a score over 0.99 and, except in one frame, a misfit below 12. Upside-down
# faces with upright landmarks have a score below 0.99 and a misfit of 7 to 46; rotated, a score over 0.995.
SURE_SCORE = 0.99
MAX_MISFIT_PX = 12.0
MISFIT_WEIGHT = 1 / 500  # score per pixel of misfit
MIN_ROTATED_SCORE = 0.95  # adjusted score that a face in a rotated picture needs to replace an uncertain one

_template = TEMPLATE_224.astype(np.float64) @ [1, 1j]
_template -= _template.mean()
TEMPLATE = tuple(_template.tolist())
TEMPLATE_POWER = float(np.vdot(_template, _template).real)


@dataclass(frozen=True)
class Pose:
    """Roll and plausibility of five landmarks.

    roll_deg: clockwise rotation that makes them upright, in (-180, 180]. misfit_px: root mean square distance
    to the template of 224 px after the best-fitting similarity.
    """

    roll_deg: float
    misfit_px: float


def pose(face: Detection) -> Pose:
    """Return the pose of a face, relative to the rotated picture in which it was detected."""
    # Five complex numbers in plain Python: this runs for every face of every frame.
    points = [complex(x, y) for x, y in face.landmarks.tolist()]
    mean = sum(points) / len(points)
    fit, power = 0j, 0.0
    for point, target in zip(points, TEMPLATE, strict=True):
        fit += (point - mean).conjugate() * target
        power += abs(point - mean) ** 2
    residual = TEMPLATE_POWER - abs(fit) ** 2 / max(power, 1e-9)
    roll_deg = math.degrees(math.atan2(fit.imag, fit.real)) + 90 * face.quarter_turns
    return Pose(180 - (180 - roll_deg) % 360, math.sqrt(max(residual, 0.0) / len(points)))


def rotate_quarters(rgb: np.ndarray, quarter_turns: int) -> np.ndarray:
    """Rotate a picture (H, W, 3) counter-clockwise."""
    return np.ascontiguousarray(np.rot90(rgb, quarter_turns))


@dataclass(frozen=True)
class UprightDetector:
    """Applies a `RegionDetector` in the orientation in which the face is upright; thread-safe.

    sure_score: a face with a lower score is also detected in the other orientations.
    """

    region: RegionDetector
    sure_score: float = SURE_SCORE

    def redetect(self, rgb: np.ndarray, face: Detection, careful: bool = False) -> Detection | None:
        """Detect a known face in (H, W, 3) uint8 `rgb`; None if no upright face is found near its box.

        The orientation of before is used first, the others if the face is rotated now. careful: the others
        are also used if the face is uncertain or not found, which takes several times as long.
        """
        found = self.region.redetect(rgb, face.box, face.quarter_turns)
        if found is not None:
            found_pose = pose(found)
            if abs(found_pose.roll_deg) > MAX_ROLL_DEG:
                return most_upright([found, *self._in_other_orientations(rgb, found)])
            if found.score >= self.sure_score and found_pose.misfit_px <= MAX_MISFIT_PX:
                return found
        if not careful:
            return found
        others = self._in_other_orientations(rgb, found or face)
        better = [other for other in others if adjusted_score(other) > MIN_ROTATED_SCORE]
        return most_upright([found, *better] if found else better)

    def _in_other_orientations(self, rgb: np.ndarray, face: Detection) -> list[Detection]:
        turns = ((face.quarter_turns + more) % 4 for more in (1, 2, 3))
        found = (self._centred(rgb, face.box, turn) for turn in turns)
        return [one for one in found if one is not None]

    def _centred(self, rgb: np.ndarray, box: np.ndarray, quarter_turns: int) -> Detection | None:
        """Detect a face twice, because a box from another orientation is only near the face."""
        found = self.region.redetect(rgb, box, quarter_turns)
        return found and (self.region.redetect(rgb, found.box, quarter_turns) or found)


def adjusted_score(face: Detection) -> float:
    """Return the score of a face minus a penalty for landmarks that do not fit the template."""
    return face.score - MISFIT_WEIGHT * pose(face).misfit_px


def most_upright(faces: Iterable[Detection]) -> Detection | None:
    """Return the best of several detections of one face; None if it is upright in none of them."""
    upright = [face for face in faces if abs(pose(face).roll_deg) <= MAX_UPRIGHT_ROLL_DEG]
    return max(upright, key=adjusted_score, default=None)
