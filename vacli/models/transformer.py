"""Transformer encoder over the window (Vaswani et al. 2017): post-norm, no position embedding.

As in the models of both papers: a linear map to `d_model`, then post-norm layers that attend to the
whole window.
"""

from __future__ import annotations

from torch import Tensor, nn

from vacli.models.base import TemporalModule
from vacli.models.dropout import Dropout
from vacli.models.heads import zero_padding
from vacli.recipe import schema as recipe


class TransformerEncoder(TemporalModule):
    """Linear(in_dim, d_model) and `n_layers` encoder layers; every frame attends to every frame."""

    causal = False
    receptive_field = None

    def __init__(self, in_dim: int, config: recipe.Transformer) -> None:
        super().__init__()
        self.in_dim, self.out_dim = in_dim, config.d_model
        self.project = nn.Linear(in_dim, config.d_model)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                config.d_model, config.n_heads, config.dim_feedforward, config.dropout, batch_first=True
            )
            for _ in range(config.n_layers)
        )
        for layer in self.layers:
            layer.dropout, layer.dropout1, layer.dropout2 = (Dropout(config.dropout) for _ in range(3))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Frames (B, T, D) and a mask (B, T), True for real frames -> (B, T, width)."""
        ignored = ~mask
        # Without a real frame the softmax would be NaN: the frames of such a row attend to each other.
        ignored = ignored & mask.any(dim=1, keepdim=True)
        y = self.project(zero_padding(x, mask))
        for layer in self.layers:
            y = layer(y, src_key_padding_mask=ignored)
        return y
