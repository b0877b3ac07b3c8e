"""Mamba (Gu and Dao 2023, arXiv 2312.00752) and the post-norm encoder of both papers.

`Mamba` has mamba_ssm's parameter names, shapes and initial values, so that state dicts are compatible.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vacli.models.base import Slots, TemporalModule, select
from vacli.models.dropout import Dropout
from vacli.models.heads import zero_padding
from vacli.models.scan import BACKENDS, fastest, selective_scan
from vacli.recipe import schema as recipe
from vacli.runtime.jit import import_loops

DT_MIN, DT_MAX, DT_FLOOR = 1e-3, 1e-1, 1e-4  # range of the first step sizes, section 3.6


def _fused() -> ModuleType | None:
    return import_loops("vacli.models.mamba_fused")


@dataclass(frozen=True)
class MambaState:
    """The state of a Mamba layer after the past frames."""

    conv: Tensor  # (B, E, d_conv): the last inputs of the convolution, newest last
    ssm: Tensor  # (B, E, N) float32

    def select(self, slots: Slots) -> MambaState:
        """The state of other recordings, see `base.select`."""
        return MambaState(select(self.conv, slots), select(self.ssm, slots))


class Mamba(nn.Module):
    """One selective state-space layer: (B, T, D) -> (B, T, D). E = expand x D, N = d_state."""

    causal = True
    receptive_field = None

    def __init__(self, d_model: int, config: recipe.Mamba) -> None:
        super().__init__()
        self.in_dim = self.out_dim = d_model
        self.inner = config.expand * d_model
        self.d_state, self.d_conv = config.d_state, config.d_conv
        self.dt_rank = math.ceil(d_model / 16)
        inner, kernel = self.inner, config.d_conv
        self.in_proj = nn.Linear(d_model, 2 * inner, bias=False)
        self.conv1d = nn.Conv1d(inner, inner, kernel, groups=inner, padding=kernel - 1)
        self.x_proj = nn.Linear(inner, self.dt_rank + 2 * config.d_state, bias=False)
        self.dt_proj = nn.Linear(self.dt_rank, inner)
        self.A_log = nn.Parameter(torch.arange(1.0, config.d_state + 1).log().repeat(inner, 1))
        self.D = nn.Parameter(torch.ones(inner))
        self.out_proj = nn.Linear(inner, d_model, bias=False)
        for parameter in (self.A_log, self.D):
            parameter._no_weight_decay = True  # type: ignore[attr-defined]
        (init_charon if config.init == "charon" else init_dt)(self)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Frames (B, T, D) and a mask (B, T), True for real frames -> (B, T, D)."""
        if self._is_recomputed(x):
            return import_module("vacli.models.mamba_recomputed").layer(x, mask, self.weights())[0]
        fused = _fused() if self._is_float32_on_cpu(x) else None
        if fused is None:
            return self.plain(zero_padding(x, mask), mask)[0]
        return fused.layer(x, mask, self.weights())[0]

    def after_norm(self, x: Tensor, mask: Tensor, norm: nn.LayerNorm) -> tuple[Tensor, Tensor]:
        """The norm of x and the layer's output for it, (B, T, D) each."""
        fused = _fused() if self._is_float32_on_cpu(x) else None
        if fused is None:
            x = norm(x)
            return x, self(x, mask)
        return fused.normed_layer(x, mask, self.weights(), norm)

    def plain(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The plain form: y (B, T, D) and the last state (B, E, N) of x, which is 0 on padding.

        `mamba_fused` is tested against it; it runs where that is not available.
        """
        u, z = self.in_proj(x).chunk(2, dim=-1)
        u = zero_padding(F.silu(self._convolve(u)), mask)  # the convolution's bias would feed the state
        y, last = selective_scan(u, *self._selection(u))
        return self.out_proj((y + self.D * u) * F.silu(z)), last

    def weights(self) -> tuple[Tensor, ...]:
        """The parameters in the order of `mamba_weights.Weights`."""
        conv, dt = self.conv1d, self.dt_proj
        bias = cast(Tensor, conv.bias)
        before = (self.in_proj.weight, conv.weight, bias, self.x_proj.weight, dt.weight, dt.bias)
        return (*before, self.A_log, self.D, self.out_proj.weight)

    def _is_float32_on_cpu(self, x: Tensor) -> bool:
        return x.device.type == "cpu" and x.dtype != torch.float64 and self.A_log.dtype == torch.float32

    def _is_recomputed(self, x: Tensor) -> bool:
        """Whether this is a training step on a GPU whose scan runs in Triton's kernels."""
        if x.device.type != "cuda" or self.A_log.dtype != torch.float32 or not torch.is_grad_enabled():
            return False
        return fastest("cuda", torch.float32, fresh=True).__module__ == BACKENDS["triton"]

    def _convolve(self, u: Tensor) -> Tensor:
        """The causal depthwise `conv1d` of (B, T, E).

        As a 2-d convolution of height 1: torch then reads channels-last input directly, which is 2 to 4
        times as fast on a CPU and saves a transposition before the scan.
        """
        y = F.conv2d(
            u.transpose(1, 2).unsqueeze(2),
            self.conv1d.weight.unsqueeze(2),
            self.conv1d.bias,
            padding=(0, self.d_conv - 1),
            groups=self.inner,
        )
        return y[:, :, 0, : u.shape[1]].transpose(1, 2)

    def _selection(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """dt (..., E) float32, A (E, N), B and C (..., N) from the convolved input (..., E)."""
        dt, b, c = self.x_proj(u).split([self.dt_rank, self.d_state, self.d_state], dim=-1)
        # In float32 also under autocast: the recurrence is exp of a sum of these.
        dt = F.softplus(F.linear(dt, self.dt_proj.weight).float() + self.dt_proj.bias.float())
        return dt, -torch.exp(self.A_log.float()), b, c

    def initial_state(self, batch: int) -> MambaState:
        """The state before the first frame."""
        like = self.A_log
        return MambaState(
            like.new_zeros(batch, self.inner, self.d_conv),
            like.new_zeros(batch, self.inner, self.d_state, dtype=torch.float32),
        )

    def step(self, x: Tensor, state: MambaState) -> tuple[Tensor, MambaState]:
        """One frame (B, D) after `state`."""
        u, z = self.in_proj(x).chunk(2, dim=-1)
        window = torch.cat([state.conv[..., 1:], u.unsqueeze(-1)], dim=-1)
        u = F.silu((window * self.conv1d.weight.squeeze(1)).sum(-1) + cast(Tensor, self.conv1d.bias))
        dt, a, b, c = self._selection(u)
        kept = torch.exp(dt.unsqueeze(-1) * a) * state.ssm
        ssm = torch.addcmul(kept, (dt * u.float()).unsqueeze(-1), b.float().unsqueeze(1))
        y = (ssm @ c.float().unsqueeze(-1)).squeeze(-1).to(u.dtype)
        return self.out_proj((y + self.D * u) * F.silu(z)), MambaState(window, ssm)


@torch.no_grad()
def init_dt(layer: Mamba) -> None:
    """mamba_ssm's initial dt: log-uniform step sizes after softplus of the bias."""
    nn.init.uniform_(layer.dt_proj.weight, -(layer.dt_rank**-0.5), layer.dt_rank**-0.5)
    low, high = math.log(DT_MIN), math.log(DT_MAX)
    dt = torch.exp(torch.rand(layer.inner) * (high - low) + low).clamp(min=DT_FLOOR)
    layer.dt_proj.bias.copy_(dt + torch.log(-torch.expm1(-dt)))


@torch.no_grad()
def init_charon(layer: Mamba) -> None:
    """Charon's initial values, for comparison: decay rates near -1, dt near 0.69, a memory of few frames."""
    nn.init.kaiming_normal_(layer.conv1d.weight, mode="fan_out", nonlinearity="linear")
    nn.init.zeros_(cast(Tensor, layer.conv1d.bias))
    nn.init.normal_(layer.A_log, std=0.01)
    nn.init.xavier_uniform_(layer.out_proj.weight)
    nn.init.normal_(layer.dt_proj.weight, std=0.02)
    nn.init.normal_(layer.dt_proj.bias, std=0.02)


class MambaEncoder(TemporalModule):
    """x <- LayerNorm(Mamba(x) + x), `n_layers` times, between linear maps.

    The first map is there if the widths differ, the last with `output_projection`.
    """

    causal = True
    receptive_field = None

    def __init__(self, in_dim: int, config: recipe.Mamba) -> None:
        super().__init__()
        width = config.d_model
        self.in_dim, self.out_dim = in_dim, width
        self.input_norm = config.input_norm
        self.adapt = nn.Linear(in_dim, width) if in_dim != width else nn.Identity()
        self.layers = nn.ModuleList(Mamba(width, config) for _ in range(config.n_layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(config.n_layers))
        self.dropout = Dropout(config.dropout)
        self.project = nn.Linear(width, width) if config.output_projection else nn.Identity()

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Frames (B, T, D) and a mask (B, T), True for real frames -> (B, T, width)."""
        x = self._enter(zero_padding(x, mask))
        norm: nn.LayerNorm | None = None
        for layer, following in zip(self.layers, self.norms, strict=True):
            x, y = (x, layer(x, mask)) if norm is None else cast(Mamba, layer).after_norm(x, mask, norm)
            x, norm = self.dropout(y) + x, cast(nn.LayerNorm, following)
        return self.project(x if norm is None else norm(x))

    def _enter(self, x: Tensor) -> Tensor:
        x = self.adapt(x)
        return F.layer_norm(x, x.shape[-1:]) if self.input_norm else x

    def initial_state(self, batch: int) -> tuple[MambaState, ...]:
        """One state a layer."""
        return tuple(cast(Mamba, layer).initial_state(batch) for layer in self.layers)

    def step(self, x: Tensor, state: tuple[MambaState, ...]) -> tuple[Tensor, tuple[MambaState, ...]]:
        """One frame (B, in_dim) after `state`."""
        x, after = self._enter(x), []
        for layer, norm, past in zip(self.layers, self.norms, state, strict=True):
            y, past = cast(Mamba, layer).step(x, past)
            x = norm(y + x)
            after.append(past)
        return self.project(x), tuple(after)
