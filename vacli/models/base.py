"""The interface of temporal modules and fusions, as types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

Slots = Sequence[int | None]


def select(state: Any, slots: Slots) -> Any:
    """The state of other recordings: slot k gets that of recording `slots[k]`, the initial one for None.

    state: None, a tensor (B, ...) that is zero before the first frame, a tuple of states, or an object with
    the method `select`.
    """
    if state is None:
        return None
    if isinstance(state, tuple):
        return tuple(select(part, slots) for part in state)
    if not isinstance(state, Tensor):
        return state.select(slots)
    chosen = state.new_zeros(len(slots), *state.shape[1:])
    for slot, source in enumerate(slots):
        if source is not None:
            chosen[slot] = state[source]
    return chosen


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
