"""The interface of temporal modules and fusions, as types."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class TemporalModule(nn.Module):
    """(B, T, in_dim) and mask (B, T) -> (B, T, out_dim); see the package's docstring for the contract."""

    in_dim: int
    out_dim: int
    causal: bool
    receptive_field: int | None

    def initial_state(self, batch: int) -> Any:
        """The state before the first frame; causal modules only."""
        raise NotImplementedError

    def step(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """One frame (B, in_dim) -> (B, out_dim) and the state after it; causal modules only."""
        raise NotImplementedError


class Fusion(nn.Module):
    """Streams, each (B, T, D_i), their presence, each (B, T), and the mask (B, T) -> (B, T, out_dim)."""

    out_dim: int
    causal: bool
    receptive_field: int | None
