"""Inputs for the selective scan, and the difference of two results."""

from __future__ import annotations

import torch
from torch import Tensor

from vacli.models.scan import selective_scan


def scan_inputs(
    shape: tuple[int, int, int, int], dtype: torch.dtype = torch.float32, seed: int = 0
) -> list[Tensor]:
    """x, dt, a, b, c, state for (batch, length, channels, states); step sizes as trained layers have."""
    batch, length, channels, states = shape
    g = torch.Generator().manual_seed(seed)

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=g)

    given = [
        normal(batch, length, channels),
        torch.exp(normal(batch, length, channels) - 3),
        -torch.exp(normal(channels, states)),
        normal(batch, length, states),
        normal(batch, length, states),
        normal(batch, channels, states),
    ]
    return [t.to(dtype).requires_grad_() for t in given]


def results(given: list[Tensor], backend: str) -> list[Tensor]:
    """Output, last state and the gradients by all six inputs, for fixed random weights on both outputs."""
    y, last = selective_scan(*given, backend=backend)
    g = torch.Generator().manual_seed(9)
    weights = [torch.randn(out.shape, generator=g).to(out.dtype) for out in (y, last)]
    return [y.detach(), last.detach(), *torch.autograd.grad([y, last], given, weights)]


def doubled(given: list[Tensor]) -> list[Tensor]:
    """The same inputs in float64."""
    return [t.detach().double().requires_grad_() for t in given]


def apart(got: list[Tensor], want: list[Tensor]) -> float:
    """The largest difference in units of the largest value of its array."""
    return max(((g - w).abs().max() / w.abs().max()).item() for g, w in zip(got, want, strict=True))
