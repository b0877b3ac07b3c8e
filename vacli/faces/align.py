"""Faces turned upright and scaled to one size: five landmarks onto the ArcFace template.

Template: ArcFace (Deng et al., CVPR 2019), given for 112 x 112, doubled here. Fit: S. Umeyama,
"Least-squares estimation of transformation parameters between two point patterns", TPAMI 13(4), 1991.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from vacli.faces.resampling import Grid, inside, resampled, similar, similar_inside

SIDE_PX = 224
UNFILTERED = 1.5  # up to here bilinear samples of a larger face alias too little to be seen
TEMPLATE_112 = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)
TEMPLATE_224 = TEMPLATE_112 * (SIDE_PX / 112)


def umeyama(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The similarity (rotation, one scale, shift) that takes `source` to `target` with least squares.

    source, target: (N, 2). Returns (2, 3) float64 M with target ~ M @ [x, y, 1]. Umeyama 1991, eq. 40-42,
    reflection excluded.
    """
    source, target = (np.asarray(points, np.float64) @ [1, 1j] for points in (source, target))
    source_mean, target_mean = source.mean(), target.mean()
    centred = source - source_mean
    # In the plane a similarity is a complex factor, and the singular value decomposition a projection.
    factor = np.vdot(centred, target - target_mean) / np.vdot(centred, centred).real
    shift = target_mean - factor * source_mean
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])


def warp(rgb: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """The aligned face. rgb: (H, W, 3) uint8; landmarks: (5, 2) pixels. Returns (224, 224, 3) uint8.

    Bilinear, as is usual for these crops; a face much larger than the crop is first reduced with an
    antialiasing filter. What lies outside the picture is black.
    """
    matrix = umeyama(landmarks, TEMPLATE_224)
    inverse = np.linalg.inv(matrix[:, :2])
    origin = -inverse @ matrix[:, 2]
    shrink = math.hypot(*inverse[:, 0])
    if shrink > UNFILTERED:
        rgb, low = _window(rgb, inverse, origin, 3 * shrink)
        rgb = _reduced(rgb, shrink)
        inverse, origin = inverse / shrink, (origin - low) / shrink
    out = np.empty((SIDE_PX, SIDE_PX, 3), np.uint8)
    back = np.column_stack([inverse, origin]).astype(np.float32)
    sampled = similar_inside if inside(back, SIDE_PX, rgb.shape[1], rgb.shape[0]) else similar
    sampled(np.ascontiguousarray(rgb), back, out)
    return out


def _window(
    rgb: np.ndarray, inverse: np.ndarray, origin: np.ndarray, margin: float
) -> tuple[np.ndarray, np.ndarray]:
    """The part of a picture that a crop looks at, with `margin` px around it, and its corner (x, y)."""
    seen = np.array([[0, 0], [SIDE_PX, 0], [0, SIDE_PX], [SIDE_PX, SIDE_PX]]) @ inverse.T + origin
    limit = np.array(rgb.shape[1::-1])
    low = np.clip(np.floor(seen.min(0) - margin), 0, limit - 1).astype(int)
    high = np.clip(np.ceil(seen.max(0) + margin), low + 1, limit).astype(int)
    return np.ascontiguousarray(rgb[low[1] : high[1], low[0] : high[0]]), low


def _reduced(window: np.ndarray, shrink: float) -> np.ndarray:
    """A picture (H, W, 3) uint8 made smaller by `shrink`, antialiased."""
    rows, columns = (math.ceil(length / shrink) for length in window.shape[:2])
    small = resampled(window, Grid(0, 0, shrink, rows, columns), np.zeros(3))
    return (small + 0.5).clip(0, 255).transpose(1, 2, 0).astype(np.uint8, order="C")


def enlarged(crop: np.ndarray) -> np.ndarray:
    """A crop that was aligned elsewhere, (H, W, 3) uint8 of any size, brought to (224, 224, 3)."""
    if crop.shape[:2] == (SIDE_PX, SIDE_PX):
        return crop
    return np.asarray(Image.fromarray(crop).resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC))
