"""Products of rows and a weight, in the way that is fastest on this processor."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vacli.models.processor import AMD, multiplies_with_mkl_on

MIN_ROWS = 1024  # fewer are as fast either way


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """x (..., I) times the transpose of weight (O, I), float32 on a CPU -> (..., O).

    On a processor of AMD, many rows are a convolution over one pixel: oneDNN computes it at up to 1.4 times
    the rate of MKL's product there.
    """
    rows = x.flatten(0, -2)
    if len(rows) < MIN_ROWS or not _is_convolution_faster():
        return F.linear(x, weight)
    pixels = rows[None, :, None].permute(0, 3, 1, 2)  # (1, I, rows, 1), channels last: the same memory
    y = F.conv2d(pixels, weight[..., None, None])
    return y.permute(0, 2, 3, 1).reshape(*x.shape[:-1], len(weight))


def _is_convolution_faster() -> bool:
    return torch.backends.mkldnn.is_available() and multiplies_with_mkl_on(AMD)
