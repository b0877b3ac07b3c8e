"""What the modules share: activations, masking, the module that does nothing."""

from __future__ import annotations

from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "prelu": nn.PReLU,
    "tanh": nn.Tanh,
    "none": nn.Identity,
}


def zero_padding(x: Tensor, mask: Tensor) -> Tensor:
    """`x` (B, T, D) with zeros, not products with zero (NaN stays NaN there), where `mask` is False."""
    return x.masked_fill(~mask.unsqueeze(-1), 0.0)


class Passthrough(nn.Module):
    """Every frame for itself, unchanged."""

    causal = True
    receptive_field = 1

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.in_dim = self.out_dim = dim

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return x

    def initial_state(self, batch: int) -> None:
        """No state."""

    def step(self, x: Tensor, state: None) -> tuple[Tensor, None]:
        return x, None
