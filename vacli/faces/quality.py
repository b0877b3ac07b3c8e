"""What tells how far a face can be trusted."""

from __future__ import annotations

import numpy as np


def sharpness(crop: np.ndarray) -> float:
    """Variance of the Laplacian of the crop's luma: low where the face is blurred.

    crop: (H, W, 3) uint8 RGB. Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy",
    ICPR 2000; luma by ITU-R BT.601. Taken on the aligned crop, so that it does not depend on how large
    the face is in the picture beyond the detail that is really there.
    """
    luma = crop @ np.array([0.299, 0.587, 0.114], np.float32)
    inner = luma[1:-1, 1:-1]
    laplacian = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * inner
    return float(laplacian.var())
