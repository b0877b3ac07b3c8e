"""Products of rows and a weight, in the way that is fastest on this processor."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vacli.models.processor import AMD, multiplies_with_mkl_on

MIN_PRODUCTS = 1 << 25  # fewer multiplications are as fast either way


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """x (..., I) times the transpose of weight (O, I), float32 on a CPU -> (..., O), without derivatives.

    On a processor of AMD a large product is one of oneDNN, which computes most sizes at 1.1 times the rate of
    MKL there, and some at 1.5 times. Its operator is the one that `torch.compile` calls.
    """
    if x.numel() * len(weight) < MIN_PRODUCTS or not _is_onednn_faster():
        return F.linear(x, weight)
    return torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")


def _is_onednn_faster() -> bool:
    return torch.backends.mkldnn.is_available() and multiplies_with_mkl_on(AMD)
