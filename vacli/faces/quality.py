"""Quality measures of detected faces and their crops."""

from __future__ import annotations

import numpy as np
from PIL import Image

from vacli.faces.align import TEMPLATE_224
from vacli.runtime.jit import compiled

_CENTRED_TEMPLATE = (TEMPLATE_224 - TEMPLATE_224.mean(axis=0)) @ [1, 1j]


def sharpness(crop: np.ndarray) -> float:
    """Return the variance of the Laplacian of the crop's luma, which is low for a blurred face.

    crop: (H, W, 3) uint8 RGB. Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR
    2000; luma by ITU-R BT.601. A face that is small in the picture has a low value, because its aligned crop
    is an enlargement.
    """
    return _laplacian_variance(np.asarray(Image.fromarray(crop).convert("L")))


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


@compiled(lambda types: types.float64(types.Array(types.uint8, 2, "C", readonly=True)), nogil=True)
def _laplacian_variance(luma: np.ndarray) -> float:
    height, width = luma.shape
    total = squares = 0
    for y in range(1, height - 1):
        above, here, below = luma[y - 1], luma[y], luma[y + 1]
        for x in range(1, width - 1):
            value = np.int64(above[x]) + below[x] + here[x - 1] + here[x + 1] - 4 * np.int64(here[x])
            total += value
            squares += value * value
    count = (height - 2) * (width - 2)
    return squares / count - (total / count) ** 2
