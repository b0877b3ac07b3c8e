"""Dropout (Srivastava et al. 2014) whose random numbers cost little on a CPU.

Torch draws the mask of a dropout one number after the other, which takes an eighth of a training step of a
small network, and keeps the mask. Here each element's random number is half of a hash of its position and of
a key that torch's generator draws at each call. The loop has no state, and the backward pass computes the
mask again.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from vacli.models.torch_threads import run_jobs
from vacli.runtime.jit import import_loops
from vacli.runtime.torch_versions import is_compiling


def _loops() -> ModuleType | None:
    return import_loops("vacli.models.dropout_loops")


class _Options(NamedTuple):
    """The loops, the probability of 0 in 1 / RESOLUTION, a call's keys, and what smaller values count as."""

    loops: ModuleType
    threshold: int
    keys: tuple[int, int]
    floor: float

    @property
    def scale(self) -> float:
        return 1 / (1 - self.threshold / self.loops.RESOLUTION)


class _Dropout(torch.autograd.Function):
    """x (float32, contiguous) -> x, dropped and scaled."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, options: _Options) -> Tensor:
        ctx.options = options
        return _dropped(x, options)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        return _dropped(g.contiguous(), ctx.options), None


class _ReluDropout(torch.autograd.Function):
    """x (float32, contiguous) -> the positive part of x, dropped and scaled."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, options: _Options) -> Tensor:
        y = _dropped(x, options)
        ctx.save_for_backward(y)
        ctx.scale = options.scale
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        (y,) = ctx.saved_tensors
        return torch.ops.aten.threshold_backward(g, y, 0).mul_(ctx.scale), None


def _dropped(x: Tensor, options: _Options) -> Tensor:
    out, jobs = torch.empty_like(x), -(-x.numel() // options.loops.CHUNK)
    low, high = options.keys
    keys, numbers = (np.uint32(low), np.uint32(high)), (np.float32(options.scale), np.float32(options.floor))
    arrays = x.detach().view(-1).numpy(), out.view(-1).numpy()
    run_jobs(options.loops.drop, jobs, *arrays, keys, np.uint32(options.threshold), numbers)
    return out


class Dropout(nn.Dropout):
    """nn.Dropout with a faster mask for float32 on a CPU; elsewhere torch's.

    Layouts of (B, T, C) with C or T innermost need no copy.
    """

    def forward(self, x: Tensor) -> Tensor:
        """x, dropped and scaled in training."""
        return self._apply_fast(_Dropout, x, -math.inf) if self._is_fast(x) else super().forward(x)

    def after(self, activation: nn.Module, x: Tensor) -> Tensor:
        """The dropout of activation(x); of a ReLU both are one pass over memory."""
        if isinstance(activation, nn.ReLU) and self._is_fast(x):
            return self._apply_fast(_ReluDropout, x, 0.0)
        return self(activation(x))

    def _is_fast(self, x: Tensor) -> bool:
        plain = x.device.type == "cpu" and x.dtype == torch.float32 and not is_compiling()
        return self.training and 0 < self.p < 1 and plain and _loops() is not None

    def _apply_fast(self, function: type[torch.autograd.Function], x: Tensor, floor: float) -> Tensor:
        loops = cast(ModuleType, _loops())
        threshold = min(round(self.p * loops.RESOLUTION), loops.RESOLUTION - 1)
        low, high = torch.randint(2**32, (2,)).tolist()
        options = _Options(loops, threshold, (low, high), floor)
        if x.dim() < 2 or x.is_contiguous():
            return function.apply(x.contiguous(), options)
        return function.apply(x.transpose(-2, -1).contiguous(), options).transpose(-2, -1)
