"""Motion and opening of the mouth of a tracked face, for the estimation of who speaks.

Both are measured at every frame in the aligned face, so that motion of the head has little effect. What
remains of it is removed by comparison with the nose and the cheeks above the mouth.
"""

from __future__ import annotations

import numpy as np

from vacli.faces.align import TEMPLATE_224, umeyama
from vacli.faces.resampling import is_interior, warp_affine, warp_affine_interior

CORNER_PX = np.array([56.0, 112.0])  # left and top of the sampled square in the aligned face of 224 px
SIDE_CELLS, CELL_SAMPLES, SAMPLE_PX = 14, 4, 2  # 14 x 14 cells of 4 x 4 samples, 2 px apart
NOSE_CELLS = 5  # rows of the nose and the cheeks, above those of the mouth
REFERENCE_STEP_S = 0.04  # motion is given per this time
STEP_LIMITS_S = (0.02, 0.12)
MIN_CONTRAST = 2.0  # grey levels
RIDGE = 1e-3
_TEMPLATE = (TEMPLATE_224 - CORNER_PX) / SAMPLE_PX


def sample_lower_face(rgb: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Sample the aligned lower face: nose, cheeks and mouth.

    rgb: (H, W, 3) uint8; landmarks: (5, 2) pixels. Returns: (14, 14) float32, the mean green of each cell,
    which shows lips darker than skin; 0 outside the picture.
    """
    matrix = umeyama(landmarks, _TEMPLATE)
    inverse = np.linalg.inv(matrix[:, :2])
    back = np.column_stack([inverse, -inverse @ matrix[:, 2]]).astype(np.float32)
    side = SIDE_CELLS * CELL_SAMPLES
    out = np.empty((side, side, 3), np.uint8)
    warp = warp_affine_interior if is_interior(back, side, rgb.shape[1], rgb.shape[0]) else warp_affine
    warp(np.ascontiguousarray(rgb), back, out)
    cells = out[..., 1].reshape(SIDE_CELLS, CELL_SAMPLES, SIDE_CELLS, CELL_SAMPLES)
    return cells.mean(axis=(1, 3), dtype=np.float32)


def mouth_motion(cells: np.ndarray, steps_s: np.ndarray) -> np.ndarray:
    """Return how much the mouth deforms between successive lower faces.

    cells: (N + 1, 14, 14) of `sample_lower_face`; steps_s: (N,) seconds between them. Returns: (N,) float64
    at least 0: the part of the change that no affine motion and no change of light explains (Lucas and
    Kanade, "An iterative image registration technique", IJCAI 1981; Shi and Tomasi, "Good features to
    track", CVPR 1994), less the same of the nose, relative to the contrast of the face, per 40 ms.
    """
    cells = np.asarray(cells, np.float64)
    before, after = cells[:-1], cells[1:]
    nose, mouth = slice(0, NOSE_CELLS), slice(NOSE_CELLS, SIDE_CELLS)
    deformation = _residual(before[:, mouth], after[:, mouth]) - _residual(before[:, nose], after[:, nose])
    contrast = np.maximum((before + after).std(axis=(1, 2)) / 2, MIN_CONTRAST)
    per_step = REFERENCE_STEP_S / np.clip(steps_s, *STEP_LIMITS_S)
    return np.maximum(deformation, 0.0) / contrast * per_step


def mouth_opening(landmarks: np.ndarray) -> np.ndarray:
    """Return the distance from the nose to the middle of the mouth, relative to that of the eyes.

    landmarks: (N, 5, 2) pixels. Returns: (N,) float64. The jaw opens the mouth and lowers its corners.
    """
    points = landmarks.astype(np.float64) @ [1, 1j]
    eyes = np.maximum(np.abs(points[:, 1] - points[:, 0]), 1e-6)
    return np.abs((points[:, 3] + points[:, 4]) / 2 - points[:, 2]) / eyes


def _residual(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(N,) mean absolute change of pictures (N, H, W) that an affine motion and light do not explain."""
    mean = (before + after) / 2
    down, across = np.gradient(mean, axis=(1, 2))
    height, width = mean.shape[1:]
    y, x = np.mgrid[:height, :width].astype(np.float64)
    y, x = y / height - 0.5, x / width - 0.5
    light = mean - mean.mean(axis=(1, 2), keepdims=True)
    ones = np.ones_like(mean)
    causes = (across, down, ones, light, across * x + down * y, across * y - down * x)
    basis = np.stack([cause[:, 1:-1, 1:-1].reshape(len(mean), -1) for cause in causes], axis=2)
    change = (after - before)[:, 1:-1, 1:-1].reshape(len(mean), -1, 1)
    products = basis.transpose(0, 2, 1) @ basis + RIDGE * np.eye(len(causes))
    fitted = basis @ np.linalg.solve(products, basis.transpose(0, 2, 1) @ change)
    return np.abs(change - fitted).mean(axis=(1, 2))
