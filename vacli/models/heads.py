"""Per-frame regression to (valence, arousal), and the per-frame parts that other modules share."""

from __future__ import annotations

from torch import Tensor, nn

from vacli.models.base import TemporalModule
from vacli.models.dropout import Dropout
from vacli.recipe import schema as recipe
from vacli.runtime.torch_versions import is_compiling

TARGETS = 2  # valence, arousal

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "prelu": nn.PReLU,
    "tanh": nn.Tanh,
    "none": nn.Identity,
}


def zero_padding(x: Tensor, mask: Tensor) -> Tensor:
    """`x` (B, T, D) with zeros where `mask` is False; a product with the mask would keep NaN."""
    return x if is_whole(mask) else x.masked_fill(~mask.unsqueeze(-1), 0.0)


def is_whole(mask: Tensor) -> bool:
    """Whether it is known that `mask` is True everywhere: on a GPU, a look would have to wait for it."""
    return mask.device.type == "cpu" and not is_compiling() and bool(mask.all())


class Passthrough(TemporalModule):
    """The identity, as a temporal module."""

    causal = True
    receptive_field = 1

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.in_dim = self.out_dim = dim

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """The input itself."""
        return x

    def initial_state(self, batch: int) -> None:
        """No state."""

    def step(self, x: Tensor, state: None) -> tuple[Tensor, None]:
        """One frame (B, D), unchanged."""
        return x, None


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
            layers += [ACTIVATIONS[config.activation](), Dropout(config.dropout)]
            in_dim = width
        layers.append(nn.Linear(in_dim, TARGETS))
        if config.tanh_output:
            layers.append(nn.Tanh())
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, 2); only real frames go through, or batch norm would count padding."""
        if is_whole(mask):
            return self.layers(x.flatten(0, 1)).unflatten(0, mask.shape)
        rows = self.layers(x[mask])
        return rows.new_zeros(*mask.shape, TARGETS).masked_scatter(mask.unsqueeze(-1), rows)

    def step(self, x: Tensor) -> Tensor:
        """(B, D) -> (B, 2)."""
        return self.layers(x)
