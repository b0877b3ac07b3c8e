"""Dropout (Srivastava et al. 2014) whose random numbers cost little on a CPU.

Torch draws the mask of a dropout one number after the other, which takes an eighth of a training step of a
small network, and keeps the mask. Here each element's random number is a hash of its position and of a key
that torch's generator draws at each call. The loop has no state, and the backward pass computes the mask
again.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from vacli.models.dropout_loops import CHUNK, drop
from vacli.models.torch_threads import run_jobs


@cache
def _is_compiled() -> bool:
    """Whether numba can be imported."""
    try:
        import numba  # noqa: F401
    except Exception:
        return False
    return True


class _Dropout(torch.autograd.Function):
    """x (float32, contiguous), the probability of 0 and two keys -> x, dropped and scaled."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float, keys: tuple[int, int]) -> Tensor:
        ctx.p, ctx.keys = p, keys
        return _dropped(x, p, keys)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None, None]:
        return _dropped(g.contiguous(), ctx.p, ctx.keys), None, None


def _dropped(x: Tensor, p: float, keys: tuple[int, int]) -> Tensor:
    out, rounded = torch.empty_like(x), round(p * 2**32)
    jobs = -(-x.numel() // CHUNK)
    numbers = (
        (np.uint32(keys[0]), np.uint32(keys[1])),
        np.uint32(rounded),
        np.float32(1 / (1 - rounded / 2**32)),
    )
    run_jobs(drop, jobs, x.detach().view(-1).numpy(), out.view(-1).numpy(), *numbers)
    return out


class Dropout(nn.Dropout):
    """nn.Dropout with a faster mask for float32 on a CPU; elsewhere torch's."""

    def forward(self, x: Tensor) -> Tensor:
        """x, dropped and scaled in training. Layouts of (B, T, C) with C or T innermost need no copy."""
        is_fast = x.device.type == "cpu" and x.dtype == torch.float32 and not torch.compiler.is_compiling()
        if not (self.training and 0 < self.p < 1 and is_fast and _is_compiled()):
            return super().forward(x)
        low, high = torch.randint(2**32, (2,)).tolist()
        if x.dim() < 2 or x.is_contiguous():
            return _Dropout.apply(x.contiguous(), self.p, (low, high))
        return _Dropout.apply(x.transpose(-2, -1).contiguous(), self.p, (low, high)).transpose(-2, -1)
