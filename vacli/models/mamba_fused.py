"""A whole Mamba layer as one differentiable function on a CPU.

Between its matrix products the loops of `mamba_loops` run. Only the layer's input, the small output of
x_proj and a checkpoint of the state at every STRIDE-th step are kept for the backward pass, which
recomputes the rest, as mamba_ssm's fused kernel does (`MambaInnerFn`). A LayerNorm before the layer is part
of the function, so that its output is not kept either. `mamba.Mamba.plain` is the plain form.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from vacli.models.heads import zero_padding
from vacli.models.mamba_jobs import convolve, convolve_back, scan_gated, scan_gated_back
from vacli.models.mamba_loops import split
from vacli.models.mamba_tiles import GROUP, STRIDE
from vacli.models.mamba_weights import Weights
from vacli.models.products import linear
from vacli.models.scan_numba import as_arrays
from vacli.models.torch_threads import run_jobs
from vacli.runtime.simd import LANES
from vacli.runtime.simd_math import LOG2_E
from vacli.runtime.torch_versions import autocast_dtype


class _Inner(NamedTuple):
    """The tensors between the matrix products, (B, L, ...) each."""

    xz: Tensor
    u: Tensor
    dbc: Tensor  # x_proj's output: dt's low rank, b, c


class _Options(NamedTuple):
    """The type of the matrix products, whether a backward pass will follow, and the eps of the norm."""

    dtype: torch.dtype
    keeps: bool
    eps: float = 0.0


class _Layer(torch.autograd.Function):
    """x, mask of real frames, gain and bias of a norm, `Weights` -> y, the last state, the layer's input.

    y (B, L, D), the last state (B, N, E). Without a norm, its parameters and the layer's input are None.
    """

    @staticmethod
    def forward(
        ctx: Any, options: _Options, x: Tensor, real: Tensor, *parameters: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        norm, weights = parameters[:2], Weights(*cast(Sequence[Tensor], parameters[2:]))
        ctx.options, ctx.is_padded = options, not real.all()
        normalised = _normalise(x, norm, options.eps)[0]
        inner = _enter(options.dtype, _without_padding(normalised, real, ctx.is_padded), real, weights)
        batch, length, _ = x.shape
        segments = (length - 1) // STRIDE if options.keeps and length else 0
        checkpoints = x.new_empty(batch, segments, weights.states, weights.channels)
        last = x.new_empty(batch, weights.states, weights.channels)
        block, jobs = _split(batch, weights.channels)
        a = weights.a()
        given = as_arrays((inner.u, inner.xz, inner.dbc)), (a.numpy() * LOG2_E, *weights.others())
        run_jobs(scan_gated, jobs, *given, *as_arrays((last, checkpoints)), block)
        gated = inner.u  # it was overwritten
        ctx.save_for_backward(x, real, inner.dbc, checkpoints, a, *parameters)
        y = _product(gated, weights.out_proj, options.dtype)
        return y, last, None if norm[0] is None else normalised

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, g_out: Tensor, g_last: Tensor, g_normalised: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        x, real, dbc, checkpoints, a, *parameters = ctx.saved_tensors
        norm, weights, dtype = parameters[:2], Weights(*parameters[2:]), ctx.options.dtype
        normalised, *moments = _normalise(x, norm, ctx.options.eps)
        seen = _without_padding(normalised, real, ctx.is_padded)
        inner = _enter(dtype, seen, real, weights, dbc)
        gated = _product(g_out, weights.out_proj.T, dtype)  # its derivative until `_scan_back` overwrites it
        scan = _scan_back(inner, weights, checkpoints, a, (gated, g_last.contiguous()))
        low, bc = dbc[..., : weights.rank], scan.bc[0] if len(scan.bc) == 1 else scan.bc.sum(0)
        g_dbc = torch.cat([_product(scan.raw, weights.dt_proj.T, dtype), bc], dim=-1)
        _add_product(scan.u, g_dbc, weights.x_proj, dtype)
        _convolution_back(inner, real, weights, scan)
        g_xz = inner.xz  # it was overwritten
        sums = scan.sums.sum(0)
        g_a, g_dt_bias, g_skip, g_taps_bias, g_taps = sums.split([weights.states, 1, 1, 1, weights.width])
        by_weights = Weights(
            in_proj=_outer(g_xz, seen, dtype),
            taps=g_taps.T.unsqueeze(1),
            taps_bias=g_taps_bias[0],
            x_proj=_outer(g_dbc, inner.u, dtype),
            dt_proj=_outer(low, scan.raw, dtype).T,
            dt_bias=g_dt_bias[0],
            A_log=(g_a * a).T,  # a = -exp(A_log)
            D=g_skip[0],
            out_proj=_outer(g_out, gated, dtype),
        )
        g_x = _without_padding(_product(g_xz, weights.in_proj.T, dtype), real, ctx.is_padded)
        if g_normalised is None:
            return None, g_x, None, None, None, *by_weights
        g_x, *by_norm = torch.ops.aten.native_layer_norm_backward(
            g_x.add_(g_normalised), x, x.shape[-1:], *moments, *norm, [True] * 3
        )
        return None, g_x, None, *by_norm, *by_weights


def _normalise(x: Tensor, norm: Sequence[Tensor | None], eps: float) -> tuple[Tensor, ...]:
    """LayerNorm of x, its means and the inverse of its deviations; x itself without a norm."""
    gain, bias = norm
    return (x,) if gain is None else torch.native_layer_norm(x, x.shape[-1:], gain, bias, eps)


class _ScanGradients(NamedTuple):
    """The new outputs of `scan_gated_back`.

    u, raw (B, L, E); bc (blocks, B, L, 2N); sums (B, N + 3 + K, E).
    """

    u: Tensor
    raw: Tensor
    bc: Tensor
    sums: Tensor


def _scan_back(
    inner: _Inner, weights: Weights, checkpoints: Tensor, a: Tensor, gradients: tuple[Tensor, Tensor]
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
        sums=new(batch, states + 3 + weights.width, channels),
    )
    given = as_arrays((inner.u, inner.xz, inner.dbc)), (a.numpy(), a.numpy() * LOG2_E, *weights.others())
    run_jobs(scan_gated_back, jobs, *given, as_arrays(gradients), as_arrays(made), checkpoints.numpy(), block)
    return made


def _convolution_back(inner: _Inner, real: Tensor, weights: Weights, scan: _ScanGradients) -> None:
    """The derivative by the convolution's input replaces it, those by its weights are added to the sums.

    scan.u is overwritten.
    """
    block, jobs = _split(len(real), weights.channels)
    given = (
        *as_arrays((inner.xz, real)),
        weights.kernel(),
        *as_arrays((weights.taps_bias, scan.u, scan.sums)),
    )
    run_jobs(convolve_back, jobs, *given, block)


def layer(x: Tensor, real: Tensor, parameters: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """y (B, L, D) and the last state (B, E, N) of x (B, L, D), which is read as 0 where `real` is False.

    parameters: float32, in the order of `Weights`. Matrix products are in autocast's type if it is on; the
    rest is in float32.
    """
    y, last, _ = _layer(x, real, parameters, None)
    channels, states = parameters[6].shape
    return y, last[:, :states, :channels].transpose(1, 2)


def normed_layer(
    x: Tensor, real: Tensor, parameters: Sequence[Tensor], norm: nn.LayerNorm
) -> tuple[Tensor, Tensor]:
    """The norm of x (B, L, D), in float32, and y (B, L, D) of it; otherwise as `layer`."""
    y, _, normalised = _layer(x, real, parameters, norm)
    return cast(Tensor, normalised), y


def _layer(
    x: Tensor, real: Tensor, parameters: Sequence[Tensor], norm: nn.LayerNorm | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    dtype = autocast_dtype("cpu") or torch.float32
    options = _Options(dtype, torch.is_grad_enabled(), 0.0 if norm is None else norm.eps)
    given = (None, None) if norm is None else (norm.weight, norm.bias)
    with torch.autocast("cpu", enabled=False):
        weights = _padded(Weights(*parameters))
        y, *others = _Layer.apply(options, x.float().contiguous(), real.contiguous(), *given, *weights)
    return y.to(dtype), *others


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


def _without_padding(x: Tensor, real: Tensor, is_padded: bool) -> Tensor:
    """`zero_padding`, without a copy if there is none."""
    return zero_padding(x, real) if is_padded else x


def _product(x: Tensor, weight: Tensor, dtype: torch.dtype) -> Tensor:
    """x (..., I) times the transpose of weight (O, I), in float32 again."""
    if dtype == x.dtype == weight.dtype:
        return linear(x, weight.detach())
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
