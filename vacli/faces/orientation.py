"""Faces that lie on their side or upside down, found as if they were upright.

The detector was trained on upright faces. It finds turned ones too, often with a high score, but puts their
points wrongly: on clips turned by a quarter by 20 % of the distance between the eyes, upside down anywhere.
Its roll is right to 15 degrees unless a face is upside down. So a face whose points are far from upright is
looked for again in the picture turned by quarters; the points it has there are those of an upright face.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from vacli.faces.align import TEMPLATE_224
from vacli.faces.detect import Detection
from vacli.faces.roi_detect import RegionDetector

LARGEST_ROLL_DEG = 50.0  # beyond it the next quarter is nearer, with a margin against going to and fro
STILL_POSSIBLE_DEG = 60.0
# Upright faces of the clips that were measured: score over 0.99 and, but for one frame, a misfit below 12.
# Those taken for upright although upside down: score below 0.99, misfit 7 to 46; turned upright over 0.995.
SURE_SCORE = 0.99
LARGEST_MISFIT_PX = 12.0
MISFIT_WEIGHT = 1 / 500  # a pixel of misfit counts as much as this much of the score
LEAST_WORTH = 0.95  # of a face that is seen in a turned picture, but not or upright in the picture as it is

_template = TEMPLATE_224.astype(np.float64) @ [1, 1j]
_template -= _template.mean()
TEMPLATE = tuple(_template.tolist())
TEMPLATE_POWER = float(np.vdot(_template, _template).real)


@dataclass(frozen=True)
class Pose:
    """How the points of a face lie. roll_deg: the clockwise turn that makes them upright, in (-180, 180];
    misfit_px: root mean square distance to the template of 224 px after the similarity that fits best."""

    roll_deg: float
    misfit_px: float


def pose(face: Detection) -> Pose:
    """The pose of a face, relative to the turned picture in which it was found."""
    # Five complex numbers in plain Python: this runs for every face of every frame.
    points = [complex(x, y) for x, y in face.landmarks.tolist()]
    mean = sum(points) / len(points)
    fit, power = 0j, 0.0
    for point, target in zip(points, TEMPLATE, strict=True):
        fit += (point - mean).conjugate() * target
        power += abs(point - mean) ** 2
    left = TEMPLATE_POWER - abs(fit) ** 2 / max(power, 1e-9)
    roll_deg = math.degrees(math.atan2(fit.imag, fit.real)) + 90 * face.quarter_turns
    return Pose(180 - (180 - roll_deg) % 360, math.sqrt(max(left, 0.0) / len(points)))


def turned(rgb: np.ndarray, quarter_turns: int) -> np.ndarray:
    """A picture (H, W, 3) turned counter-clockwise."""
    return np.ascontiguousarray(np.rot90(rgb, quarter_turns))


@dataclass(frozen=True)
class UprightDetector:
    """`RegionDetector.near` that finds a face upright; thread-safe. sure_score: that of an undoubted face."""

    region: RegionDetector
    sure_score: float = SURE_SCORE

    def near(self, rgb: np.ndarray, face: Detection, careful: bool = False) -> Detection | None:
        """The face in (H, W, 3) uint8 `rgb` where `face` was; None where there is none that can be upright.

        It is looked for as it stood before, and in other orientations if it lies now. `careful`: also if it
        is unlike a face, or not seen at all, which takes several times as long.
        """
        found = self.region.near(rgb, face.box, face.quarter_turns)
        seen = found and pose(found)
        if found and abs(seen.roll_deg) > LARGEST_ROLL_DEG:
            return most_upright([found, *self._in_other_turns(rgb, found)])
        sure = found and found.score >= self.sure_score and seen.misfit_px <= LARGEST_MISFIT_PX
        if sure or not careful:
            return found
        others = self._in_other_turns(rgb, found or face)
        better = [other for other in others if worth(other) > LEAST_WORTH]
        return most_upright([found, *better] if found else better)

    def _in_other_turns(self, rgb: np.ndarray, face: Detection) -> list[Detection]:
        turns = ((face.quarter_turns + more) % 4 for more in (1, 2, 3))
        found = (self._centred(rgb, face.box, turn) for turn in turns)
        return [one for one in found if one is not None]

    def _centred(self, rgb: np.ndarray, box: np.ndarray, quarter_turns: int) -> Detection | None:
        """The face near a box that comes from another orientation, and so is only about where the face is."""
        found = self.region.near(rgb, box, quarter_turns)
        return found and (self.region.near(rgb, found.box, quarter_turns) or found)


def worth(face: Detection) -> float:
    """How much speaks for a face: its score, less if its points are not those of a face."""
    return face.score - MISFIT_WEIGHT * pose(face).misfit_px


def most_upright(faces: Iterable[Detection]) -> Detection | None:
    """The best of several views of one face; None where it is upright in none of them."""
    possible = [face for face in faces if abs(pose(face).roll_deg) <= STILL_POSSIBLE_DEG]
    return max(possible, key=worth, default=None)
