"""A whole Mamba layer as one differentiable function on a CPU.

Between its matrix products the loops of `mamba_loops` run. Only the layer's input, the small output of
x_proj and a checkpoint of the state at every STRIDE-th step are kept for the backward pass, which
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

from vacli.models.heads import zero_padding
from vacli.models.mamba_loops import (
    convolve,
    convolve_back,
    scan_gated,
    scan_gated_back,
    split,
)
from vacli.models.mamba_tiles import GROUP, STRIDE
from vacli.models.scan_numba import as_arrays
from vacli.models.torch_threads import run_jobs
from vacli.runtime.simd import LANES
from vacli.runtime.simd_math import LOG2_E


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
        """The parameters of the scan: a (N, E), dt_proj (R, E), dt's bias and D (E,)."""
        a = -torch.exp(self.A_log).T.contiguous()
        return as_arrays((a, self.dt_proj.T.contiguous(), self.dt_bias, self.D))


class _Inner(NamedTuple):
    """The tensors between the matrix products, (B, L, ...) each."""

    xz: Tensor
    u: Tensor
    dbc: Tensor  # x_proj's output: dt's low rank, b, c


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
        x = _without_padding(x, real)
        inner = _enter(options.dtype, x, real, weights)
        segments = (length - 1) // STRIDE if options.keeps and length else 0
        checkpoints = x.new_empty(batch, segments, weights.states, weights.channels)
        last = x.new_empty(batch, weights.states, weights.channels)
        block, jobs = _split(batch, weights.channels)
        a, *others = weights.scanned()
        given = as_arrays((inner.u, inner.xz, inner.dbc)), (a * LOG2_E, *others)
        run_jobs(scan_gated, jobs, *given, *as_arrays((last, checkpoints)), block)
        gated = inner.u  # it was overwritten
        ctx.dtype = options.dtype
        ctx.save_for_backward(x, real, inner.dbc, checkpoints, *parameters)
        return _product(gated, weights.out_proj, options.dtype), last

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g_out: Tensor, g_last: Tensor) -> tuple[Tensor | None, ...]:
        x, real, dbc, checkpoints, *parameters = ctx.saved_tensors
        weights, dtype = Weights(*parameters), ctx.dtype
        inner = _enter(dtype, x, real, weights, dbc)
        gated = _product(g_out, weights.out_proj.T, dtype)  # its derivative until `_scan_back` overwrites it
        scan = _scan_back(inner, weights, checkpoints, (gated, g_last.contiguous()))
        g_low = _product(scan.raw, weights.dt_proj.T, dtype)
        g_bc = scan.bc.sum(0).unflatten(-1, (-1, 2, GROUP)).transpose(-3, -2).flatten(-3)
        g_dbc = torch.cat([g_low, g_bc], dim=-1)
        _add_product(scan.u, g_dbc, weights.x_proj, dtype)
        g_taps, g_taps_bias = _convolution_back(inner, real, weights, scan)
        g_xz = inner.xz  # it was overwritten
        by_weights = Weights(
            in_proj=_outer(g_xz, x, dtype),
            taps=g_taps.sum(0).T.unsqueeze(1),
            taps_bias=g_taps_bias.sum(0),
            x_proj=_outer(g_dbc, inner.u, dtype),
            dt_proj=_outer(scan.raw, dbc[..., : g_low.shape[-1]], dtype),
            dt_bias=scan.dt_bias.sum(0),
            A_log=scan.a.sum(0).T * -torch.exp(weights.A_log),  # a = -exp(A_log)
            D=scan.skip.sum(0),
            out_proj=_outer(g_out, gated, dtype),
        )
        g_x = _without_padding(_product(g_xz, weights.in_proj.T, dtype), real)
        return None, g_x, None, *by_weights


class _ScanGradients(NamedTuple):
    """The new outputs of `scan_gated_back`.

    u, raw (B, L, E); bc (blocks, B, L, 2N); a (B, N, E); dt_bias and skip (B, E).
    """

    u: Tensor
    raw: Tensor
    bc: Tensor
    a: Tensor
    dt_bias: Tensor
    skip: Tensor


def _scan_back(
    inner: _Inner, weights: Weights, checkpoints: Tensor, gradients: tuple[Tensor, Tensor]
) -> _ScanGradients:
    """The derivatives by the inputs of the scan, from those by the gated output and by the last state.

    The gated output replaces its derivative, and the derivative by z replaces z in inner.xz.
    """
    batch, length, channels = inner.u.shape
    states, new = weights.states, inner.u.new_empty
    block, jobs = _split(batch, channels)
    made = _ScanGradients(
        u=torch.empty_like(inner.u),
        raw=torch.empty_like(inner.u),
        bc=new(jobs // max(batch, 1), batch, length, 2 * states),
        a=new(batch, states, channels),
        dt_bias=new(batch, channels),
        skip=new(batch, channels),
    )
    a, *others = weights.scanned()
    given = as_arrays((inner.u, inner.xz, inner.dbc)), (a, a * LOG2_E, *others), as_arrays(gradients)
    run_jobs(scan_gated_back, jobs, *given, as_arrays(made), checkpoints.numpy(), block)
    return made


def _convolution_back(
    inner: _Inner, real: Tensor, weights: Weights, scan: _ScanGradients
) -> tuple[Tensor, Tensor]:
    """The derivatives by taps (B, K, E) and bias (B, E); that by the convolution's input replaces it.

    scan.u is overwritten.
    """
    batch, _, channels = inner.u.shape
    made = scan.u.new_empty(batch, weights.taps.shape[-1], channels), scan.u.new_empty(batch, channels)
    block, jobs = _split(batch, channels)
    given = (*as_arrays((inner.xz, real)), weights.kernel(), *as_arrays((weights.taps_bias, scan.u)))
    run_jobs(convolve_back, jobs, *given, as_arrays(made), block)
    return made


def layer(x: Tensor, real: Tensor, parameters: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """y (B, L, D) and the last state (B, E, N) of x (B, L, D), which is read as 0 where `real` is False.

    parameters: float32, in the order of `Weights`. Matrix products are in autocast's type if it is on; the
    rest is in float32.
    """
    autocast = torch.is_autocast_enabled("cpu")
    dtype = torch.get_autocast_dtype("cpu") if autocast else torch.float32
    options = _Options(dtype, torch.is_grad_enabled())
    channels, states = parameters[6].shape
    with torch.autocast("cpu", enabled=False):
        padded = _padded(Weights(*parameters))
        y, last = _Layer.apply(options, x.float().contiguous(), real.contiguous(), *padded)
    return y.to(dtype), last[:, :states, :channels].transpose(1, 2)


def _padded(weights: Weights) -> Weights:
    """The weights with zeros for more channels and states, as the loops need them."""
    channels, states = -weights.channels % LANES, -weights.states % GROUP
    if not channels and not states:
        return weights
    low, b, c = weights.x_proj.split([weights.dt_proj.shape[1], weights.states, weights.states])
    rows, columns, both = (0, 0, 0, channels), (0, channels), (0, channels, 0, states)
    halves = weights.in_proj.chunk(2)
    return Weights(
        in_proj=torch.cat([F.pad(half, rows) for half in halves]),
        taps=F.pad(weights.taps, (0, 0, 0, 0, 0, channels)),
        taps_bias=F.pad(weights.taps_bias, columns),
        x_proj=torch.cat([F.pad(low, columns), F.pad(b, both), F.pad(c, both)]),
        dt_proj=F.pad(weights.dt_proj, rows),
        dt_bias=F.pad(weights.dt_bias, columns),
        A_log=F.pad(weights.A_log, (0, states, 0, channels)),
        D=F.pad(weights.D, columns),
        out_proj=F.pad(weights.out_proj, columns),
    )


def _enter(
    dtype: torch.dtype, x: Tensor, real: Tensor, weights: Weights, dbc: Tensor | None = None
) -> _Inner:
    """Compute the inputs of the scan; `dbc` if it is known already."""
    xz = _product(x, weights.in_proj, dtype)
    u = x.new_empty(*x.shape[:2], weights.channels)
    block, jobs = _split(len(x), weights.channels)
    given = (*as_arrays((xz, real)), weights.kernel(), *as_arrays((weights.taps_bias, u)))
    run_jobs(convolve, jobs, *given, block)
    return _Inner(xz, u, _product(u, weights.x_proj, dtype) if dbc is None else dbc)


def _split(batch: int, channels: int) -> tuple[int, int]:
    return split(batch, channels, torch.get_num_threads())


def _without_padding(x: Tensor, real: Tensor) -> Tensor:
    """`zero_padding`, without a copy if there is none."""
    return x if real.all() else zero_padding(x, real)


def _product(x: Tensor, weight: Tensor, dtype: torch.dtype) -> Tensor:
    """x (..., I) times the transpose of weight (O, I), in float32 again."""
    return F.linear(x.to(dtype), weight.detach().to(dtype)).float()


def _add_product(total: Tensor, x: Tensor, weight: Tensor, dtype: torch.dtype) -> None:
    """Add x (..., O) times weight (O, I) to total (..., I)."""
    if dtype == total.dtype:
        total.flatten(0, 1).addmm_(x.flatten(0, 1), weight.detach())
    else:
        total.add_(_product(x, weight.T, dtype))


def _outer(g: Tensor, x: Tensor, dtype: torch.dtype) -> Tensor:
    """The derivative (O, I) of `_product` by its weight."""
    return (g.flatten(0, 1).T.to(dtype) @ x.flatten(0, 1).to(dtype)).float()
