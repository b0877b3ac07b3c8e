"""Bidirectional dynamic cross-modal attention between two streams (BDCA, equations 1 to 6).

The gate is that of Dynamic Cross-Attention (Praveen and Alam 2024, arXiv 2403.19554), since the
equations leave it open: its two logits are a linear function, with bias, of the attended features, and
the softmax runs over these two units. A temperature below 1 sharpens it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from vacli.models.base import Fusion
from vacli.recipe import schema as recipe


class CrossAttention(nn.Module):
    """One direction: frames of one stream query the frames of the other."""

    def __init__(self, dim: int, config: recipe.Bdca) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(dim, dim) for _ in range(3))
        self.gate = nn.Linear(dim, 2) if config.gate else None
        self.temperature = config.temperature
        self.scale = 1 / math.sqrt(dim)

    def forward(self, x: Tensor, other: Tensor, keys: Tensor) -> Tensor:
        """x, other (B, T, D); `keys` (B, T) bool: frames of `other` that can be attended to."""
        attended = torch.relu(self.attend(x, other, keys) + x)  # equation 2
        if self.gate is None:
            return attended
        weights = torch.softmax(self.gate(attended) / self.temperature, dim=-1)  # equations 3 and 4
        return torch.relu(weights[..., :1] * x + weights[..., 1:] * attended)  # equation 5

    def attend(self, x: Tensor, other: Tensor, keys: Tensor) -> Tensor:
        """Equation 1; zeros if no frame can be attended to."""
        scores = self.query(x) @ self.key(other).transpose(1, 2) * self.scale
        scores = scores.masked_fill(~keys.unsqueeze(1), torch.finfo(scores.dtype).min)
        found = torch.softmax(scores, dim=-1) @ self.value(other)
        return found.masked_fill(~keys.any(dim=1)[:, None, None], 0.0)


class Bdca(Fusion):
    """Both directions concatenated (equation 6): two streams of width D -> (B, T, 2 D).

    Frames that a stream lacks are not attended to: they hold only values from their neighbours.
    """

    causal = False
    receptive_field = None

    def __init__(self, dims: tuple[int, ...], config: recipe.Bdca) -> None:
        super().__init__()
        self.out_dim = sum(dims)
        self.first = CrossAttention(dims[0], config)
        self.second = CrossAttention(dims[1], config)

    def forward(self, streams: list[Tensor], present: list[Tensor], mask: Tensor) -> Tensor:
        """`streams` two of (B, T, D), finite; `present` two of (B, T), 0 if missing; mask (B, T) bool."""
        one, two = streams
        first, second = ((there > 0) & mask for there in present)
        return torch.cat([self.first(one, two, second), self.second(two, one, first)], dim=-1)


class Concat(Fusion):
    """Streams concatenated, with a 0/1 column for each stream's presence if `availability_flags` is set."""

    causal = True
    receptive_field = 1

    def __init__(self, dims: tuple[int, ...], config: recipe.Concat) -> None:
        super().__init__()
        self.availability_flags = config.availability_flags
        self.out_dim = sum(dims) + len(dims) * config.availability_flags

    def forward(self, streams: list[Tensor], present: list[Tensor], mask: Tensor) -> Tensor:
        """`streams` each (..., D_i), `present` each (...) in [0, 1] -> (..., out_dim)."""
        columns = [p.unsqueeze(-1).to(streams[0].dtype) for p in present] if self.availability_flags else []
        return torch.cat([*streams, *columns], dim=-1)
