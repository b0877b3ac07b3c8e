"""Search of the whole picture for faces, at a reduced resolution and in any orientation."""

from __future__ import annotations

import numpy as np
from PIL import Image

from vacli.faces.detect import Detection, Detector
from vacli.faces.orientation import rotate_quarters


def search_faces(
    detector: Detector, rgb: np.ndarray, side_px: int, quarter_turns: int = 0
) -> list[Detection]:
    """Detect the faces of a whole picture, (H, W, 3) uint8.

    It is first reduced to `side_px` at the longer side and rotated counter-clockwise by `quarter_turns`.
    """
    if quarter_turns:
        found = search_faces(detector, rotate_quarters(rgb, quarter_turns), side_px)
        width, height = rgb.shape[1], rgb.shape[0]
        return [face.rotated_back(quarter_turns, (width, height)) for face in found]
    scale = side_px / max(rgb.shape[:2])
    if scale >= 1:
        return detector.detect(rgb)
    size = (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale))
    small = np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BILINEAR))
    return [face.rescaled(1 / scale, (0.0, 0.0)) for face in detector.detect(small)]
