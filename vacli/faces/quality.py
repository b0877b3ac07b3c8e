"""Quality measures of face crops."""

from __future__ import annotations

import numpy as np
from PIL import Image

from vacli.runtime.jit import compiled


def sharpness(crop: np.ndarray) -> float:
    """Return the variance of the Laplacian of the crop's luma, which is low for a blurred face.

    crop: (H, W, 3) uint8 RGB. Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR
    2000; luma by ITU-R BT.601. A face that is small in the picture has a low value, because its aligned crop
    is an enlargement.
    """
    return _laplacian_variance(np.asarray(Image.fromarray(crop).convert("L")))


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
