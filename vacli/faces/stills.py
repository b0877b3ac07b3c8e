"""Single pictures: every one for itself, detected and aligned as a frame is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from vacli.faces.align import SIDE_PX, warp
from vacli.faces.detect import Detection, Detector
from vacli.faces.orientation import UprightDetector, most_upright, turned
from vacli.faces.resampling import similar
from vacli.faces.roi_detect import RegionDetector

# Longer sides at which a picture is searched: tight portraits are found in the small ones, where the
# face is as large as the detector's usual input, groups and small faces in the large ones.
SEARCH_SIDES_PX = (160, 320, 640, 1280)
SURE = 0.9
STILL_THRESHOLD = 0.5  # a still has no neighbours to take over from
ALWAYS_DOUBTED = 1.0  # a score that none reaches: there is time to look at a still in every orientation
VIEW_ZOOMS = (1.0, 0.93, 1.07)


@dataclass(frozen=True, eq=False)
class Still:
    """An aligned picture. crop (224, 224, 3) uint8; face in the picture's pixels, or None where no
    face was found and the crop is the whole picture, its middle square."""

    crop: np.ndarray
    face: Detection | None


class Aligner:
    """Aligns the most prominent face of one picture after another."""

    def __init__(self) -> None:
        self._detector = Detector(score_threshold=STILL_THRESHOLD)
        self._upright = UprightDetector(RegionDetector(score_threshold=STILL_THRESHOLD), ALWAYS_DOUBTED)

    def align(self, rgb: np.ndarray) -> Still:
        """The aligned face of a picture, (H, W, 3) uint8 RGB, its points found as those of a video are."""
        found = find_face_at_any_angle(rgb, self._detector)
        face = found and (self._upright.near(rgb, found, careful=True) or most_upright([found]))
        return Still(_middle(rgb), None) if face is None else Still(warp(rgb, face.landmarks), face)


def views(crop: np.ndarray) -> np.ndarray:
    """A crop (224, 224, 3) uint8 as it is, a little nearer and farther, and all three in a mirror:
    (6, 224, 224, 3). What a network says of them is steadier in the mean than what it says of one."""
    made = np.empty((6, *crop.shape), np.uint8)
    for number, zoom in enumerate(VIEW_ZOOMS):
        shift = SIDE_PX / 2 * (1 - zoom)
        similar(np.ascontiguousarray(crop), np.float32([[zoom, 0, shift], [0, zoom, shift]]), made[number])
    made[3:] = made[:3, :, ::-1]
    return made


def find_face_at_any_angle(rgb: np.ndarray, detector: Detector) -> Detection | None:
    """As `find_face`; where that is not sure, a sure face of the picture on its side or upside down."""
    best = find_face(rgb, detector)
    for turns in (2, 1, 3):
        if best is not None and best.score > SURE:
            return best
        found = find_face(turned(rgb, turns), detector)
        if found is not None and found.score > SURE:
            best = found.turned_back(turns, rgb.shape[1::-1])
    return best


def find_face(rgb: np.ndarray, detector: Detector) -> Detection | None:
    """The largest sure face of a picture, else the best unsure one, else None."""
    best: Detection | None = None
    for side in SEARCH_SIDES_PX:
        scale = side / max(rgb.shape[:2])
        found = [d.placed(1 / scale, (0.0, 0.0)) for d in detector.detect(_scaled(rgb, scale))]
        sure = [d for d in found if d.score > SURE]
        if sure:
            return max(sure, key=lambda d: d.size_px)
        best = max([*found, *([best] if best else [])], key=lambda d: d.score, default=None)
        if side > max(rgb.shape[:2]):
            break  # no detail to gain beyond the first enlargement
    return best


def _scaled(rgb: np.ndarray, scale: float) -> np.ndarray:
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BICUBIC))


def _middle(rgb: np.ndarray) -> np.ndarray:
    height, width = rgb.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    square = Image.fromarray(rgb[top : top + side, left : left + side])
    return np.asarray(square.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC))
