"""A whole Mamba layer as one differentiable function on a CPU.

Between its matrix products the loops of `mamba_loops` run. Only the layer's input, the small output of
x_proj and a checkpoint of the state at every CHECKPOINT_STRIDE-th step are kept for the backward pass, which
recomputes the rest, as mamba_ssm's fused kernel does (`MambaInnerFn`). `mamba.Mamba.plain` is the plain form.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from vacli.models.mamba_loops import (
    CHECKPOINT_STRIDE,
    convolve,
    convolve_back,
    scan_gated,
    scan_gated_back,
    split,
)
from vacli.models.scan_numba import as_arrays, run_jobs


class Weights(NamedTuple):
    """The parameters of a layer, named as in `mamba.Mamba`."""

    in_proj: Tensor  # (2E, D)
    taps: Tensor  # (E, 1, K), conv1d.weight
    taps_bias: Tensor  # (E,)
    x_proj: Tensor  # (R + 2N, E)
    dt_proj: Tensor  # (E, R)
    dt_bias: Tensor  # (E,)
    A_log: Tensor  # (E, N)
    D: Tensor  # (E,)
    out_proj: Tensor  # (D, E)

    @property
    def channels(self) -> int:
        """E."""
        return self.A_log.shape[0]

    @property
    def states(self) -> int:
        """N."""
        return self.A_log.shape[1]

    def kernel(self) -> np.ndarray:
        """The convolution's weights (K, E), channels last."""
        return self.taps.detach().squeeze(1).T.contiguous().numpy()

    def scanned(self) -> tuple[np.ndarray, ...]:
        """The parameters of the scan: a (N, E), dt's bias and D (E,)."""
        return as_arrays((-torch.exp(self.A_log).T.contiguous(), self.dt_bias, self.D))


class _Inner(NamedTuple):
    """The tensors between the matrix products, (B, L, ...) each."""

    xz: Tensor
    u: Tensor
    dbc: Tensor  # x_proj's output: dt's low rank, b, c
    raw: Tensor  # dt before its bias and softplus

    def scanned(self, states: int) -> tuple[np.ndarray, ...]:
        """The inputs of the scan: u, raw, xz, b, c."""
        b, c = (t.contiguous() for t in self.dbc[..., -2 * states :].chunk(2, dim=-1))
        return as_arrays((self.u, self.raw, self.xz, b, c))


class _Options(NamedTuple):
    """The type of the matrix products, and whether a backward pass will follow."""

    dtype: torch.dtype
    keeps: bool


class _Layer(torch.autograd.Function):
    """x, the mask of real frames, and the `Weights` -> y (B, L, D) and the last state (B, N, E)."""

    @staticmethod
    def forward(
        ctx: Any, options: _Options, x: Tensor, real: Tensor, *parameters: Tensor
    ) -> tuple[Tensor, Tensor]:
        weights = Weights(*parameters)
        batch, length, _ = x.shape
        inner = _enter(options.dtype, x, real, weights)
        stride = CHECKPOINT_STRIDE if options.keeps else max(length, 1)
        checkpoints = x.new_empty(batch, -(-length // stride), weights.states, weights.channels)
        gated, last = torch.empty_like(inner.u), x.new_empty(batch, weights.states, weights.channels)
        block, jobs = split(batch, weights.channels, weights.states)
        given, made = (inner.scanned(weights.states), weights.scanned()), as_arrays((gated, last))
        run_jobs(scan_gated, jobs, *given, made, checkpoints.numpy(), stride, block)
        ctx.dtype = options.dtype
        ctx.save_for_backward(x, real, inner.dbc, checkpoints, *parameters)
        return _product(gated, weights.out_proj, options.dtype), last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g_out: Tensor, g_last: Tensor) -> tuple[Tensor | None, ...]:
        x, real, dbc, checkpoints, *parameters = ctx.saved_tensors
        weights, dtype = Weights(*parameters), ctx.dtype
        inner = _enter(dtype, x, real, weights, dbc)
        g_gated = _product(g_out, weights.out_proj.T, dtype)
        scan = _scan_back(inner, weights, checkpoints, (g_gated, g_last.contiguous()))
        g_low = _product(scan.raw, weights.dt_proj.T, dtype)
        g_dbc = torch.cat([g_low, scan.b.sum(0), scan.c.sum(0)], dim=-1)
        scan.u.add_(_product(g_dbc, weights.x_proj.T, dtype))
        g_taps, g_taps_bias = _convolution_back(inner, real, weights, scan)
        by_weights = Weights(
            in_proj=_outer(scan.xz, x, dtype),
            taps=g_taps.sum(0).T.unsqueeze(1),
            taps_bias=g_taps_bias.sum(0),
            x_proj=_outer(g_dbc, inner.u, dtype),
            dt_proj=_outer(scan.raw, dbc[..., : g_low.shape[-1]], dtype),
            dt_bias=scan.dt_bias.sum(0),
            A_log=scan.a.sum(0).T * -torch.exp(weights.A_log),  # a = -exp(A_log)
            D=scan.skip.sum(0),
            out_proj=_outer(g_out, scan.gated, dtype),
        )
        return None, _product(scan.xz, weights.in_proj.T, dtype), None, *by_weights


class _ScanGradients(NamedTuple):
    """The outputs of `scan_gated_back`: derivatives, and the recomputed gated output.

    u, raw, gated (B, L, E); xz (B, L, 2E), its second half; b, c (blocks, B, L, N); a (B, N, E); dt_bias and
    skip (B, E).
    """

    u: Tensor
    raw: Tensor
    gated: Tensor
    xz: Tensor
    b: Tensor
    c: Tensor
    a: Tensor
    dt_bias: Tensor
    skip: Tensor


def _scan_back(
    inner: _Inner, weights: Weights, checkpoints: Tensor, gradients: tuple[Tensor, Tensor]
) -> _ScanGradients:
    batch, length, channels = inner.u.shape
    states, new = weights.states, inner.u.new_empty
    block, jobs = split(batch, channels, states)
    blocks = jobs // max(batch, 1)
    made = _ScanGradients(
        u=torch.empty_like(inner.u),
        raw=torch.empty_like(inner.u),
        gated=torch.empty_like(inner.u),
        xz=torch.empty_like(inner.xz),
        b=new(blocks, batch, length, states),
        c=new(blocks, batch, length, states),
        a=new(batch, states, channels),
        dt_bias=new(batch, channels),
        skip=new(batch, channels),
    )
    given = inner.scanned(states), weights.scanned(), as_arrays(gradients)
    run_jobs(scan_gated_back, jobs, *given, as_arrays(made), checkpoints.numpy(), CHECKPOINT_STRIDE, block)
    return made


def _convolution_back(
    inner: _Inner, real: Tensor, weights: Weights, scan: _ScanGradients
) -> tuple[Tensor, Tensor]:
    """Fill half of scan.xz, overwrite scan.u; return the derivatives by taps (B, K, E) and bias (B, E)."""
    batch, _, channels = inner.u.shape
    made = scan.u.new_empty(batch, weights.taps.shape[-1], channels), scan.u.new_empty(batch, channels)
    block, jobs = split(batch, channels, weights.states)
    given = (*as_arrays((inner.xz, real)), weights.kernel(), *as_arrays((weights.taps_bias, scan.u)))
    run_jobs(convolve_back, jobs, *given, as_arrays((scan.xz, *made)), block)
    return made


def layer(x: Tensor, real: Tensor, parameters: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """y (B, L, D) and the last state (B, E, N) of x (B, L, D), which is 0 where `real` (B, L) is False.

    parameters: float32, in the order of `Weights`. Matrix products are in autocast's type if it is on; the
    rest is in float32.
    """
    autocast = torch.is_autocast_enabled("cpu")
    dtype = torch.get_autocast_dtype("cpu") if autocast else torch.float32
    options = _Options(dtype, torch.is_grad_enabled())
    with torch.autocast("cpu", enabled=False):
        y, last = _Layer.apply(options, x.float().contiguous(), real.contiguous(), *parameters)
    return y.to(dtype), last.transpose(1, 2)


def _enter(
    dtype: torch.dtype, x: Tensor, real: Tensor, weights: Weights, dbc: Tensor | None = None
) -> _Inner:
    """Compute the inputs of the scan; `dbc` if it is known already."""
    xz = _product(x, weights.in_proj, dtype)
    u = x.new_empty(*x.shape[:2], weights.channels)
    block, jobs = split(len(x), weights.channels, weights.states)
    given = (*as_arrays((xz, real)), weights.kernel(), *as_arrays((weights.taps_bias, u)))
    run_jobs(convolve, jobs, *given, block)
    dbc = _product(u, weights.x_proj, dtype) if dbc is None else dbc
    rank = weights.dt_proj.shape[1]
    return _Inner(xz, u, dbc, _product(dbc[..., :rank], weights.dt_proj, dtype))


def _product(x: Tensor, weight: Tensor, dtype: torch.dtype) -> Tensor:
    """x (..., I) times the transpose of weight (O, I), in float32 again."""
    return F.linear(x.to(dtype), weight.detach().to(dtype)).float()


def _outer(g: Tensor, x: Tensor, dtype: torch.dtype) -> Tensor:
    """The derivative (O, I) of `_product` by its weight."""
    return (g.flatten(0, 1).T.to(dtype) @ x.flatten(0, 1).to(dtype)).float()
