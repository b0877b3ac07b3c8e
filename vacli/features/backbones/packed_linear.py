"""A linear layer with oneDNN's packed weights, by operators that torch keeps for its own compiler.

They have no public name, so this is the only module that calls them; where they are missing or refuse, the
layer is torch's `linear`.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PackedLinear:
    """x @ weight.T + bias; GELU and residual sums are fused into the product where weights are packed.

    `rows` is the usual number of rows of x, for which the weights are laid out.
    """

    def __init__(self, layer: nn.Linear, dtype: torch.dtype, rows: int) -> None:
        self.weight = layer.weight.detach().to(dtype)
        self.bias = None if layer.bias is None else layer.bias.detach().to(dtype)
        self.packed = self.weight.device.type == "cpu" and can_pack(dtype)
        if self.packed:
            self.weight = torch.ops.mkldnn._reorder_linear_weight(self.weight.contiguous(), rows)

    def __call__(self, x: Tensor) -> Tensor:
        """The product with the bias: (..., in) -> (..., out)."""
        if self.packed:
            return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "none")
        return F.linear(x, self.weight, self.bias)

    def gelu(self, x: Tensor) -> Tensor:
        """The exact GELU of the product."""
        if self.packed:
            return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "gelu", [], "none")
        return F.gelu(self(x))

    def add(self, x: Tensor, residual: Tensor) -> Tensor:
        """The product plus `residual`."""
        if self.packed:
            return torch.ops.mkldnn._linear_pointwise.binary(x, residual, self.weight, self.bias, "add")
        return residual + self(x)


@cache
def can_pack(dtype: torch.dtype) -> bool:
    """Whether this torch packs CPU weights of `dtype` and fuses GELU and sums; tried on a small product."""
    if dtype not in (torch.float32, torch.bfloat16) or not torch.backends.mkldnn.is_available():
        return False
    x, bias = torch.ones(2, 16, dtype=dtype), torch.ones(16, dtype=dtype)
    try:
        weight = torch.ops.mkldnn._reorder_linear_weight(torch.ones(16, 16, dtype=dtype), 2)
        torch.ops.mkldnn._linear_pointwise(x, weight, bias, "gelu", [], "none")
        made = torch.ops.mkldnn._linear_pointwise.binary(x, x, weight, bias, "add")
    except (AttributeError, RuntimeError, TypeError):
        return False
    return bool((made == 18).all())
