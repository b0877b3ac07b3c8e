"""The selective scan on a CPU: the compiled loops of `scan_loops` as a differentiable function of tensors.

It uses as many threads as torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numba  # noqa: F401 - if the import fails, `scan` uses another backend
import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from vacli.models.scan_jobs import backward, forward
from vacli.models.scan_loops import CHECKPOINT_STRIDE, split
from vacli.models.torch_threads import run_jobs


class _Scan(torch.autograd.Function):
    """The two passes as one differentiable function of float32 CPU tensors, channels last."""

    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        x, _, a, *_, h0 = tensors
        batch, length, channels = x.shape
        # Without a backward pass, one checkpoint is enough.
        stride = CHECKPOINT_STRIDE if any(ctx.needs_input_grad) else max(length, 1)
        checkpoints = x.new_empty(batch, -(-length // stride), *a.shape)
        y, h_last = torch.empty_like(x), torch.empty_like(h0)
        block, jobs = split(batch, channels, a.shape[0])
        run_jobs(
            forward, jobs, as_arrays(tensors), as_arrays((y, h_last)), checkpoints.numpy(), stride, block
        )
        ctx.save_for_backward(*tensors[:5], checkpoints)
        return y, h_last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g_y: Tensor, g_last: Tensor) -> tuple[Tensor, ...]:
        *tensors, checkpoints = ctx.saved_tensors
        x, dt, a, b, _ = tensors
        batch, _, channels = x.shape
        block, jobs = split(batch, channels, a.shape[0])
        g_b, g_c = (x.new_empty(jobs // max(batch, 1), *b.shape) for _ in range(2))
        g_y, g_last = g_y.contiguous(), g_last.contiguous()
        g_x, g_dt, g_h0 = torch.empty_like(x), torch.empty_like(dt), torch.empty_like(g_last)
        g_a = x.new_empty(batch, *a.shape)
        made = as_arrays((g_x, g_dt, g_a, g_b, g_c, g_h0))
        run_jobs(
            backward,
            jobs,
            as_arrays(tensors),
            as_arrays((g_y, g_last)),
            made,
            checkpoints.numpy(),
            CHECKPOINT_STRIDE,
            block,
        )
        return g_x, g_dt, g_a.sum(0), g_b.sum(0), g_c.sum(0), g_h0


def scan(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """As scan_reference.scan, for float32 tensors on the CPU."""
    given = (x, dt, a.T, b, c, state.transpose(1, 2))
    y, last = _Scan.apply(*(t.contiguous() for t in given))
    return y, last.transpose(1, 2)


def as_arrays(tensors: Iterable[Tensor]) -> tuple[np.ndarray, ...]:
    """The same memory as NumPy arrays."""
    return tuple(t.detach().numpy() for t in tensors)
