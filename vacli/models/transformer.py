"""Transformer encoder over the window (Vaswani et al. 2017): post-norm, no position embedding.

That is what the models of both papers descend from: a linear map to `width`, then post-norm layers
that attend to the whole window.
"""

from __future__ import annotations

from torch import Tensor, nn

from vacli.models.parts import zero_padding
from vacli.recipe import schema as recipe


class TransformerEncoder(nn.Module):
    """Linear(in_dim, width) and `depth` encoder layers; every frame sees every frame."""

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

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        ignored = ~mask
        # A row without any real frame would be a softmax over nothing: NaN. Its frames may see each other.
        ignored = ignored & mask.any(dim=1, keepdim=True)
        y = self.project(zero_padding(x, mask))
        for layer in self.layers:
            y = layer(y, src_key_padding_mask=ignored)
        return y
