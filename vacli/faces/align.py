"""Alignment of faces: a similarity transform takes five landmarks onto the ArcFace template.

Template: ArcFace (Deng et al., CVPR 2019), given for 112 x 112, doubled here. Fit: S. Umeyama,
"Least-squares estimation of transformation parameters between two point patterns", TPAMI 13(4), 1991.
"""

from __future__ import annotations

import io
import math

import numpy as np
from PIL import Image

from vacli.faces.resampling import Grid, is_interior, resample, warp_affine, warp_affine_interior

CROP_PX = 224
MAX_UNFILTERED_SCALE = 1.5  # up to this reduction, aliasing of bilinear samples is not visible
JPEG_QUALITY = 90
TEMPLATE_112 = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)
TEMPLATE_224 = TEMPLATE_112 * (CROP_PX / 112)


def umeyama(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Fit the similarity (rotation, one scale, shift) that takes `source` to `target` with least squares.

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


def align_face(rgb: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Warp a face onto the template. rgb: (H, W, 3) uint8; landmarks: (5, 2) pixels.

    Returns: (224, 224, 3) uint8, sampled bilinearly, black outside the picture. A face much larger than the
    crop is first reduced with an antialiasing filter.
    """
    matrix = umeyama(landmarks, TEMPLATE_224)
    inverse = np.linalg.inv(matrix[:, :2])
    origin = -inverse @ matrix[:, 2]
    scale = math.hypot(*inverse[:, 0])
    if scale > MAX_UNFILTERED_SCALE:
        rgb, low = _crop_window(rgb, inverse, origin, 3 * scale)
        rgb = _reduce(rgb, scale)
        inverse, origin = inverse / scale, (origin - low) / scale
    out = np.empty((CROP_PX, CROP_PX, 3), np.uint8)
    back = np.column_stack([inverse, origin]).astype(np.float32)
    warp = warp_affine_interior if is_interior(back, CROP_PX, rgb.shape[1], rgb.shape[0]) else warp_affine
    warp(np.ascontiguousarray(rgb), back, out)
    return out


def _crop_window(
    rgb: np.ndarray, inverse: np.ndarray, origin: np.ndarray, margin_px: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the part of a picture that a crop samples, with a margin around it, and its corner (x, y)."""
    corners = np.array([[0, 0], [CROP_PX, 0], [0, CROP_PX], [CROP_PX, CROP_PX]]) @ inverse.T + origin
    limit = np.array(rgb.shape[1::-1])
    low = np.clip(np.floor(corners.min(0) - margin_px), 0, limit - 1).astype(int)
    high = np.clip(np.ceil(corners.max(0) + margin_px), low + 1, limit).astype(int)
    return np.ascontiguousarray(rgb[low[1] : high[1], low[0] : high[0]]), low


def _reduce(window: np.ndarray, scale: float) -> np.ndarray:
    """Reduce a picture (H, W, 3) uint8 by `scale`, antialiased."""
    rows, columns = (math.ceil(length / scale) for length in window.shape[:2])
    small = resample(window, Grid(0, 0, scale, rows, columns), np.zeros(3))
    return (small + 0.5).clip(0, 255).transpose(1, 2, 0).astype(np.uint8, order="C")


def resize_crop(crop: np.ndarray) -> np.ndarray:
    """Resize a crop that was aligned elsewhere, (H, W, 3) uint8, to (224, 224, 3), bicubic."""
    if crop.shape[:2] == (CROP_PX, CROP_PX):
        return crop
    return np.asarray(Image.fromarray(crop).resize((CROP_PX, CROP_PX), Image.Resampling.BICUBIC))


def encode_jpeg(crop: np.ndarray) -> bytes:
    """Encode a crop (H, W, 3) uint8 RGB as JPEG of JPEG_QUALITY, without chroma subsampling.

    Millions of crops fit on a disk, and the loss is small enough to train on them.
    """
    out = io.BytesIO()
    Image.fromarray(crop).save(out, "jpeg", quality=JPEG_QUALITY, subsampling=0)
    return out.getvalue()
