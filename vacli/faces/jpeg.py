"""Aligned faces as JPEG: small enough to keep for millions of frames, close enough to train on."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

QUALITY = 90


def encode(crop: np.ndarray) -> bytes:
    """A crop (H, W, 3) uint8 RGB as JPEG bytes, chroma not subsampled."""
    out = io.BytesIO()
    Image.fromarray(crop).save(out, "jpeg", quality=QUALITY, subsampling=0)
    return out.getvalue()
