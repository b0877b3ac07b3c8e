"""A dilated convolution over time as a sum of matrix products, one for each tap, of shifted rows.

With many channels, torch's convolution of one dimension reaches half to two thirds of the rate of its matrix
products on a CPU of Intel; on one of AMD it is the faster way. A shift by whole rows needs no copy: each tap
multiplies rows of the same array.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from vacli.models.processor import INTEL, multiplies_with_mkl_on
from vacli.runtime.torch_versions import autocast_dtype

# Shorter products have a lower rate; fewer rows do not pay the copies of the weight and of its derivative.
MIN_STEPS, MIN_ROWS, MIN_CHANNELS = 128, 1024, 256


def is_faster(x: Tensor, channels: int) -> bool:
    """Whether `convolve` is faster than torch for x (B, C, T) and so many output channels."""
    plain = x.device.type == "cpu" and x.dtype == torch.float32 and autocast_dtype("cpu") is None
    batch, in_channels, steps = x.shape
    is_large = batch * steps >= MIN_ROWS and min(in_channels, channels) >= MIN_CHANNELS
    return plain and is_large and steps >= MIN_STEPS and multiplies_with_mkl_on(INTEL)


def convolve(x: Tensor, weight: Tensor, bias: Tensor, dilation: int) -> Tensor:
    """x (B, T + (K - 1) dilation, C), weight (C', C, K) as in torch's Conv1d, bias (C',) -> (B, T, C')."""
    # The transposition of a matrix is copied twice as fast as that of three axes.
    taps = weight.flatten(0, 1).T.contiguous().unflatten(1, weight.shape[:2])
    return _ShiftedProducts.apply(x.contiguous(), taps, bias, dilation)


class _ShiftedProducts(torch.autograd.Function):
    """y_t = bias + sum over k of W_k x_(t + k dilation), weight (K, C', C)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, dilation: int) -> Tensor:
        steps = x.shape[1] - (len(weight) - 1) * dilation
        y = bias.repeat(len(x), steps, 1)
        for rows, out in zip(x, y, strict=True):
            for k, tap in enumerate(weight):
                out.addmm_(rows[k * dilation :][:steps], tap.T)
        ctx.save_for_backward(x, weight)
        ctx.dilation = dilation
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        g, steps, dilation = g.contiguous(), g.shape[1], ctx.dilation
        by_x = by_weight = None
        if ctx.needs_input_grad[0]:
            by_x = torch.zeros_like(x)
            for rows, out in zip(g, by_x, strict=True):
                for k, tap in enumerate(weight):
                    out[k * dilation :][:steps].addmm_(rows, tap)
        if ctx.needs_input_grad[1]:
            by_weight = torch.empty_like(weight)
            for k, out in enumerate(by_weight):
                for i, (rows, seen) in enumerate(zip(g, x, strict=True)):
                    out.addmm_(rows.T, seen[k * dilation :][:steps], beta=min(i, 1))
        return by_x, by_weight, g.sum((0, 1)), None
