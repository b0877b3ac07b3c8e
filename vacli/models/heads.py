"""Per-frame regression to (valence, arousal)."""

from __future__ import annotations

from torch import Tensor, nn

from vacli.models.parts import ACTIVATIONS
from vacli.recipe import schema as recipe

TARGETS = 2  # valence, arousal


class Head(nn.Module):
    """Linear layers, each but the last with batch norm (where asked for), activation and dropout."""

    causal = True
    receptive_field = 1

    def __init__(self, in_dim: int, config: recipe.Head) -> None:
        super().__init__()
        self.in_dim, self.out_dim = in_dim, TARGETS
        layers: list[nn.Module] = []
        for width in config.hidden:
            layers.append(nn.Linear(in_dim, width))
            if config.batch_norm:
                layers.append(nn.BatchNorm1d(width))
            layers += [ACTIVATIONS[config.activation](), nn.Dropout(config.dropout)]
            in_dim = width
        layers.append(nn.Linear(in_dim, TARGETS))
        if config.tanh_output:
            layers.append(nn.Tanh())
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, 2); only real frames go through, or batch norm would count padding."""
        rows = self.layers(x[mask])
        return rows.new_zeros(*mask.shape, TARGETS).masked_scatter(mask.unsqueeze(-1), rows)

    def step(self, x: Tensor) -> Tensor:
        """(B, D) -> (B, 2)."""
        return self.layers(x)
