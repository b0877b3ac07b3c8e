"""A whole Mamba layer as one differentiable function on a GPU, whose backward pass computes it again.

As in mamba_ssm (`MambaInnerFn`), the layer's input, the small output of x_proj and the checkpoints of the
scan are kept; the expanded input, its convolution and the step sizes are computed again from them. The scan
runs in the kernels of `scan_triton`, whose backward pass gives its output again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from vacli.models import scan_triton
from vacli.models.heads import zero_padding
from vacli.models.mamba_weights import Weights
from vacli.runtime.torch_versions import autocast_dtype


class _Scanned(NamedTuple):
    """The inputs of the scan: dt (B, L, E), a (E, N), b and c (B, L, N)."""

    dt: Tensor
    a: Tensor
    b: Tensor
    c: Tensor


class _Layer(torch.autograd.Function):
    """The type of matrix products, x, the mask of real frames, `Weights` -> y (B, L, D), the last state."""

    @staticmethod
    def forward(
        ctx: Any, dtype: torch.dtype, x: Tensor, real: Tensor, *parameters: Tensor
    ) -> tuple[Tensor, Tensor]:
        weights = Weights(*parameters)
        u, z = _enter(x, real, weights, dtype)
        dbc = _product(u, weights.x_proj, dtype)
        scanned = _select(dbc, weights, dtype)
        first = x.new_zeros(len(x), *scanned.a.shape, dtype=torch.float32)
        y, last, checkpoints = scan_triton.forward(u, *scanned, first)
        ctx.dtype = dtype
        ctx.save_for_backward(x, real, dbc, checkpoints, *parameters)
        return _product(_gated(y, u, z, weights), weights.out_proj, dtype), last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g_out: Tensor, g_last: Tensor) -> tuple[Tensor | None, ...]:
        x, real, dbc, checkpoints, *parameters = ctx.saved_tensors
        dtype, out_proj = ctx.dtype, parameters[-1]
        with torch.autocast(x.device.type, enabled=False), torch.enable_grad():
            x, dbc, *leaves = (t.detach().requires_grad_() for t in (x, dbc, *parameters))
            weights = Weights(*leaves)
            u, z = _enter(x, real, weights, dtype)
            scanned = _select(dbc, weights, dtype)
            g_gated = _product(g_out, out_proj.T, dtype).detach()
            g_y = (g_gated * F.silu(z.detach())).contiguous()
            by = scan_triton.backward((u, *scanned), checkpoints, g_y, g_last.contiguous())
            gated = _gated(by.y, u, z, weights)
            g_dbc, *by_dt = torch.autograd.grad(
                (scanned.dt, scanned.b, scanned.c),
                (dbc, weights.dt_proj, weights.dt_bias),
                (by.dt, by.b, by.c),
            )
            g_u = by.x + _product(g_dbc, weights.x_proj.detach().T, dtype)
            wanted = (x, weights.in_proj, weights.taps, weights.taps_bias, weights.A_log, weights.D)
            g_x, *before, g_rate, g_skip = torch.autograd.grad(
                (gated, u, scanned.a), wanted, (g_gated, g_u, by.a)
            )
            x_proj, out = _outer(g_dbc, u.detach(), dtype), _outer(g_out, gated.detach(), dtype)
        return None, g_x, None, *before, x_proj, *by_dt, g_rate, g_skip, out


def layer(x: Tensor, real: Tensor, parameters: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """y (B, L, D) and the last state (B, E, N) of x (B, L, D), which is read as 0 where `real` is False.

    parameters: float32, in the order of `Weights`. Matrix products are in autocast's type if it is on; the
    rest is in float32.
    """
    device = x.device.type
    dtype = autocast_dtype(device) or torch.float32
    with torch.autocast(device, enabled=False):
        y, last = _Layer.apply(dtype, x, real, *parameters)
    return y.to(dtype), last


def _enter(x: Tensor, real: Tensor, weights: Weights, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The convolved input u, 0 on padding, and the gate's input z, (B, L, E) each."""
    u, z = _product(zero_padding(x, real), weights.in_proj, dtype).chunk(2, dim=-1)
    u = F.conv1d(
        u.transpose(1, 2), weights.taps, weights.taps_bias, padding=weights.width - 1, groups=u.shape[-1]
    )
    u = F.silu(u[..., : x.shape[1]].transpose(1, 2))
    return zero_padding(u, real).contiguous(), z


def _select(dbc: Tensor, weights: Weights, dtype: torch.dtype) -> _Scanned:
    low, b, c = dbc.split([weights.rank, weights.states, weights.states], dim=-1)
    dt = F.softplus(_product(low, weights.dt_proj, dtype) + weights.dt_bias)
    return _Scanned(dt, -torch.exp(weights.A_log), b.contiguous(), c.contiguous())


def _gated(y: Tensor, u: Tensor, z: Tensor, weights: Weights) -> Tensor:
    return (y + weights.D * u) * F.silu(z)


def _product(x: Tensor, weight: Tensor, dtype: torch.dtype) -> Tensor:
    """x (..., I) times the transpose of weight (O, I), in float32 again."""
    return F.linear(x.to(dtype), weight.to(dtype)).float()


def _outer(g: Tensor, x: Tensor, dtype: torch.dtype) -> Tensor:
    """The derivative (O, I) of `_product` by its weight."""
    return (g.flatten(0, 1).T.to(dtype) @ x.flatten(0, 1).to(dtype)).float()
