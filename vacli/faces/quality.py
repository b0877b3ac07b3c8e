"""What tells how far a face can be trusted."""

from __future__ import annotations

import numpy as np
from PIL import Image


def sharpness(crop: np.ndarray) -> float:
    """Variance of the Laplacian of the crop's luma: low where the face is blurred.

    crop: (H, W, 3) uint8 RGB. Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR
    2000; luma by ITU-R BT.601. Taken on the aligned crop, so a face that is small in the picture counts as
    blurred as its enlarged crop is.
    """
    luma = np.asarray(Image.fromarray(crop).convert("L")).astype(np.int16)
    laplacian = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * luma[1:-1, 1:-1]
    return float(laplacian.var(dtype=np.float32))
