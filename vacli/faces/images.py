"""Face alignment of single images, and the views of a crop for test-time augmentation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from vacli.faces.align import CROP_PX, align_face
from vacli.faces.detect import Detection, Detector, iou
from vacli.faces.orientation import UprightDetector, most_upright, rotate_quarters
from vacli.faces.resampling import warp_affine
from vacli.faces.roi_detect import RegionDetector
from vacli.faces.selection import DEFAULT_FACE, TrackSummary, select_tracks

# Longer sides of the searched image. Tight portraits are found at the small ones, where the face has the
# usual size of the detector's input; groups and small faces are found at the large ones.
SEARCH_SIDES_PX = (160, 320, 640, 1280)
SURE_SCORE = 0.9
IMAGE_THRESHOLD = 0.5  # lower than for a video, because an image has no neighbouring frames
UNREACHABLE_SCORE = 1.0  # there is time to search a single image in every orientation
SAME_FACE_IOU = 0.4  # boxes with a larger intersection over union are of one face
VIEW_ZOOMS = (1.0, 0.93, 1.07)


@dataclass(frozen=True, eq=False)
class AlignedImage:
    """An aligned image. crop: (224, 224, 3) uint8; face: in the image's pixels.

    Without a face, face is None and crop is the central square of the image.
    """

    crop: np.ndarray
    face: Detection | None


class ImageAligner:
    """Aligns the most prominent face of an image, or the faces that are chosen."""

    def __init__(self) -> None:
        self._detector = Detector(score_threshold=IMAGE_THRESHOLD)
        self._upright = UprightDetector(RegionDetector(score_threshold=IMAGE_THRESHOLD), UNREACHABLE_SCORE)

    def align(self, rgb: np.ndarray) -> AlignedImage:
        """Align an image, (H, W, 3) uint8 RGB, with landmarks from the same detector as for a video."""
        return _aligned(rgb, self._upright_face(rgb, find_face_at_any_angle(rgb, self._detector)))

    def align_selected(self, rgb: np.ndarray, choice: str) -> dict[int, AlignedImage]:
        """Number -> aligned face of those that `choice` selects (`faces.selection`), as `align` does.

        Face 0 is that of `align`, which is the largest; the others are numbered by their size. An image
        without a face has number -1. Raises InputError where there is no such face.
        """
        best = self._upright_face(rgb, find_face_at_any_angle(rgb, self._detector))
        if choice == DEFAULT_FACE or (best is None and not choice.isdecimal()):
            return {-1 if best is None else 0: _aligned(rgb, best)}
        others = [self._upright_face(rgb, face) for face in find_sure_faces(rgb, self._detector)]
        faces = [] if best is None else _distinct([best, *filter(None, others)])
        summaries = [
            TrackSummary(number, float(np.prod(face.box[2:] - face.box[:2])), float(face.centre[0]))
            for number, face in enumerate(faces)
        ]
        return {number: _aligned(rgb, faces[number]) for number in sorted(select_tracks(summaries, choice))}

    def _upright_face(self, rgb: np.ndarray, found: Detection | None) -> Detection | None:
        """A found face, detected once more in the orientation in which it is upright."""
        return found and (self._upright.redetect(rgb, found, careful=True) or most_upright([found]))


def tta_views(crop: np.ndarray) -> np.ndarray:
    """Return the views of a crop (224, 224, 3) uint8 for test-time augmentation, (6, 224, 224, 3).

    They are the crop at three zooms and their mirror images. The mean output over them is more stable.
    """
    made = np.empty((6, *crop.shape), np.uint8)
    for number, zoom in enumerate(VIEW_ZOOMS):
        shift = CROP_PX / 2 * (1 - zoom)
        matrix = np.array([[zoom, 0, shift], [0, zoom, shift]], np.float32)
        warp_affine(np.ascontiguousarray(crop), matrix, made[number])
    made[3:] = made[:3, :, ::-1]
    return made


def find_face_at_any_angle(rgb: np.ndarray, detector: Detector) -> Detection | None:
    """Return the result of `find_face`, or if its score is low, that of a rotated image if that is higher."""
    best = find_face(rgb, detector)
    for turns in (2, 1, 3):
        if best is not None and best.score > SURE_SCORE:
            return best
        found = find_face(rotate_quarters(rgb, turns), detector)
        if found is not None and found.score > SURE_SCORE:
            best = found.rotated_back(turns, (rgb.shape[1], rgb.shape[0]))
    return best


def find_face(rgb: np.ndarray, detector: Detector) -> Detection | None:
    """Return the largest face with a score over SURE_SCORE, else the one with the best score, else None."""
    best: Detection | None = None
    for side in SEARCH_SIDES_PX:
        scale = side / max(rgb.shape[:2])
        found = [d.rescaled(1 / scale, (0.0, 0.0)) for d in detector.detect(_scaled(rgb, scale))]
        sure = [d for d in found if d.score > SURE_SCORE]
        if sure:
            return max(sure, key=lambda d: d.size_px)
        best = max([*found, *([best] if best else [])], key=lambda d: d.score, default=None)
        if side > max(rgb.shape[:2]):
            break  # a further enlargement adds no detail
    return best


def find_sure_faces(rgb: np.ndarray, detector: Detector) -> list[Detection]:
    """Return the faces with a score over SURE_SCORE, largest first, in the first orientation that has some.

    The orientations have the order of `find_face_at_any_angle`. The faces of all search sides are joined.
    """
    for turns in (0, 2, 1, 3):
        picture, found = rotate_quarters(rgb, turns), []
        for side in SEARCH_SIDES_PX:
            scale = side / max(rgb.shape[:2])
            found += [d.rescaled(1 / scale, (0.0, 0.0)) for d in detector.detect(_scaled(picture, scale))]
            if side > max(rgb.shape[:2]):
                break
        sure = [d.rotated_back(turns, (rgb.shape[1], rgb.shape[0])) for d in found if d.score > SURE_SCORE]
        if sure:
            return _distinct(sorted(sure, key=lambda d: -d.size_px))
    return []


def _distinct(faces: Sequence[Detection]) -> list[Detection]:
    """The faces without those that overlap an earlier one."""
    kept: list[Detection] = []
    for face in faces:
        if not kept or iou(face.box, np.stack([one.box for one in kept])).max() <= SAME_FACE_IOU:
            kept.append(face)
    return kept


def _aligned(rgb: np.ndarray, face: Detection | None) -> AlignedImage:
    if face is None:
        return AlignedImage(_central_square(rgb), None)
    return AlignedImage(align_face(rgb, face.landmarks), face)


def _scaled(rgb: np.ndarray, scale: float) -> np.ndarray:
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BICUBIC))


def _central_square(rgb: np.ndarray) -> np.ndarray:
    height, width = rgb.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    square = Image.fromarray(rgb[top : top + side, left : left + side])
    return np.asarray(square.resize((CROP_PX, CROP_PX), Image.Resampling.BICUBIC))
