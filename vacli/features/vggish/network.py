"""The VGGish network (Hershey et al. 2017, arXiv 1609.09430), a patch at a time.

The keys are those of the torchvggish weights. The published network ends without an activation;
`final_relu` adds the ReLU of torchvggish.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

FRAMES = 96  # of 10 ms in a patch
BANDS = 64
DIM = 128
PLAN: tuple[int | Literal["pool"], ...] = (64, "pool", 128, "pool", 256, 256, "pool", 512, 512, "pool")


def _features() -> nn.Sequential:
    layers: list[nn.Module] = []
    width = 1
    for step in PLAN:
        if step == "pool":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(width, step, 3, padding=1), nn.ReLU(inplace=True)]
            width = step
    return nn.Sequential(*layers)


class VggishNet(nn.Module):
    """Log-mel patches (N, 1, 96, 64) -> (N, 128)."""

    def __init__(self, final_relu: bool = False) -> None:
        super().__init__()
        self.features = _features()
        self.embeddings = nn.Sequential(
            nn.Linear(6 * 4 * 512, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, DIM),
            nn.ReLU(inplace=True) if final_relu else nn.Identity(),
        )

    def forward(self, patches: Tensor) -> Tensor:
        """Patches (N, 1, 96, 64) -> embeddings (N, 128)."""
        maps = self.features(patches)
        return self.embeddings(maps.permute(0, 2, 3, 1).flatten(1))  # time, band, channel

    def convolutions(self) -> list[nn.Conv2d]:
        """The six convolutions, in order."""
        return [layer for layer in self.features if isinstance(layer, nn.Conv2d)]


class Postprocessor:
    """The whitening and 8-bit quantisation of the AudioSet release of embeddings."""

    LIMIT = 2.0

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.vectors = tensors["pca_eigen_vectors"].float()
        self.means = tensors["pca_means"].reshape(1, -1).float()

    def __call__(self, embeddings: Tensor) -> Tensor:
        """(N, 128) -> (N, 128) whole numbers from 0 to 255, as floats."""
        whitened = (embeddings - self.means.to(embeddings.device)) @ self.vectors.to(embeddings.device).T
        return torch.round((whitened.clamp(-self.LIMIT, self.LIMIT) + self.LIMIT) * (255 / (2 * self.LIMIT)))
