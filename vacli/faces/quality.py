"""Quality measures of detected faces and their crops, and the difficulty of a face.

A face's factors are from 0 to 1: 0 up to a first value of a measure, 1 from a second one on, and linear in
between, on the scale that the table names:

| factor | measure | scale | 0 | 1 |
|---|---|---|---|---|
| face_size | longer side of the face's box | logarithm | 10 px | 30 px |
| sharpness | `sharpness` of the crop | logarithm | 0.005 | 0.2 |
| pose | `pose_misfit_px` of the landmarks | linear | 26 px | 12 px |
| face_score | confidence of the face detector | log(1 - score) | 0.8 | 0.99 |

Of FER+ faces, 5 % have a sharpness below 0.19; reduced to 16 px, half have one below 0.05, and blurred with a
sigma of a twentieth of the picture, below 0.007.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from PIL import Image

from vacli.faces.align import TEMPLATE_224

FACE_BOX = (
    0.25,
    0.3125,
    0.75,
    0.875,
)  # x0 y0 x1 y1 in crop sides: from the eyes to the mouth
FACE_PX = (28, 32)  # width and height of that part at a quarter of the resolution of a crop of 224 px
SIZE_PX = (10.0, 30.0)
SHARPNESS = (0.005, 0.2)
MISFIT_PX = (26.0, 12.0)
SCORE = (0.8, 0.99)
MIN_POSITIVE = 1e-9  # of arguments of logarithms
GREY_FLOOR = 4.0  # grey levels, added to the standard deviation: a uniform face has no sharpness
_CENTRED_TEMPLATE = (TEMPLATE_224 - TEMPLATE_224.mean(axis=0)) @ [1, 1j]


def sharpness(crop: np.ndarray) -> float:
    """Return the variance of the Laplacian of a face of unit contrast, which is low for a blurred face.

    crop: (H, W, 3) uint8 RGB, aligned. Pech-Pacheco et al., "Diatom autofocusing in brightfield
    microscopy", ICPR 2000; luma by ITU-R BT.601. The luma has a quarter of the resolution of a crop of
    224 px, which is about that of the bundled face network, and is divided by its standard deviation, so that
    contrast and fine noise have little effect. The border of the picture is left out, because it is a sharp
    edge in the crop of a blurred face. A face that is small in the picture has a low value, because its crop
    is an enlargement.
    """
    height, width = crop.shape[:2]
    left, top, right, bottom = np.multiply(FACE_BOX, (width, height, width, height)).round().astype(int)
    luma = Image.fromarray(crop[top:bottom, left:right]).convert("L").convert("F")
    face = np.asarray(luma.resize(FACE_PX, Image.Resampling.BOX), np.float64)
    around = face[:-2, 1:-1] + face[2:, 1:-1] + face[1:-1, :-2] + face[1:-1, 2:]
    return float(np.var(around - 4 * face[1:-1, 1:-1]) / (face.std() + GREY_FLOOR) ** 2)


def pose_misfit_px(landmarks: np.ndarray) -> np.ndarray:
    """Return the root mean square distance of landmarks to the frontal template after the best fit.

    landmarks: (N, 5, 2) pixels. Returns: (N,) pixels of the crop of 224 px. The fit is a similarity
    (`align.umeyama`), so roll and size have no effect. A projected rigid face has 4 px at a yaw of 15
    degrees, 9 at 30, 14 at 45, 19 at 60 and 26 at 75.
    """
    points = landmarks.astype(np.float64) @ [1, 1j]
    points -= points.mean(axis=1, keepdims=True)
    power = np.maximum((np.abs(points) ** 2).sum(axis=1), 1e-9)
    fit = np.abs(points.conj() @ _CENTRED_TEMPLATE) ** 2 / power
    residual = (np.abs(_CENTRED_TEMPLATE) ** 2).sum() - fit
    return np.sqrt(np.maximum(residual, 0.0) / landmarks.shape[1])


def face_factors(
    score: np.ndarray, box: np.ndarray, landmarks: np.ndarray, sharpness: np.ndarray
) -> dict[str, np.ndarray]:
    """Return name -> (N,) factor of N faces, NaN where its measure is unknown; see the module.

    score (N,), sharpness (N,), box (N, 4) x0 y0 x1 y1 and landmarks (N, 5, 2) in pixels.
    """
    size_px = np.maximum(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1])
    return {
        "face_size": ramp(_log(size_px), *np.log(SIZE_PX)),
        "sharpness": ramp(_log(sharpness), *np.log(SHARPNESS)),
        "pose": ramp(pose_misfit_px(landmarks), *MISFIT_PX),
        "face_score": ramp(-_log(1 - np.asarray(score, np.float64)), *-np.log(1 - np.array(SCORE))),
    }


def face_difficulty(
    score: np.ndarray, box: np.ndarray, landmarks: np.ndarray, sharpness: np.ndarray
) -> np.ndarray:
    """Return (N,) from 0, a clear face, to 1: one minus the lowest of `face_factors`; 0 if none is known."""
    return 1 - stack_factors(face_factors(score, box, landmarks, sharpness).values()).min(axis=0)


def ramp(measure: np.ndarray, zero: float, one: float) -> np.ndarray:
    """Return 0 at `zero` and beyond, 1 at `one` and beyond, linear in between."""
    return np.clip((np.asarray(measure, np.float64) - zero) / (one - zero), 0.0, 1.0)


def stack_factors(factors: Iterable[np.ndarray]) -> np.ndarray:
    """Return factors (N,) as (F, N), with 1 where they are NaN."""
    return np.stack([np.where(np.isnan(factor), 1.0, factor) for factor in factors])


def _log(values: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(np.asarray(values, np.float64), MIN_POSITIVE))
