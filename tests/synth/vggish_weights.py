"""Checkpoints with the keys and shapes of the published VGGish weights and arbitrary numbers."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from vacli.features.vggish.network import VggishNet


def random_net(seed: int = 0) -> VggishNet:
    """A network whose activations keep their size from layer to layer."""
    torch.manual_seed(seed)
    with torch.device("meta"):
        net = VggishNet()
    net.to_empty(device="cpu").eval()
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            bound = (6 / layer.weight[0].numel()) ** 0.5
            nn.init.uniform_(layer.weight, -bound, bound)
            nn.init.uniform_(layer.bias, -0.1, 0.1)
    return net


def write_checkpoint(path: Path, net: nn.Module) -> Path:
    """Write a plain state dict, as torchvggish publishes it."""
    torch.save(net.state_dict(), path)
    return path


def write_pca(path: Path, seed: int = 0) -> Path:
    """Write eigenvectors and means, as torchvggish publishes them."""
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.linalg.qr(torch.randn(128, 128, generator=generator))[0]
    torch.save(
        {"pca_eigen_vectors": vectors, "pca_means": torch.randn(128, 1, generator=generator) / 9}, path
    )
    return path
