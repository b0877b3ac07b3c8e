"""Valence and arousal from the features of single frames, whatever network they are from."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vacli.recipe import schema as recipe
from vacli.training.encoder.augmentation import ImageAugmentation, augment_images
from vacli.training.encoder.objective import Objective, single_frame_ccc

PIXEL_LEVELS = 255.0
PAPER_AUGMENTATION = ImageAugmentation()


class PixelNormalization(nn.Module):
    """Pixels (N, 3, H, W) in [0, 255], standardised with a mean and deviation a channel (of [0, 1])."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1) * PIXEL_LEVELS, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1) * PIXEL_LEVELS, persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels (N, 3, H, W) from 0 to 255, normalized by the channel."""
        return (pixels - self.mean) / self.std


class FrameRegression(Objective):
    """A linear head on the features (N, D) of `forward`, trained with the CCC loss."""

    head: nn.Linear
    normalization: PixelNormalization
    augmentation: ImageAugmentation

    def loss(self, images: Tensor, target: Tensor, votes: Tensor | None) -> Tensor:
        """The CCC loss of augmented pictures; votes are not used."""
        pixels = augment_images(images.permute(0, 3, 1, 2).float(), self.augmentation)
        return single_frame_ccc(self._va(pixels).float(), target, recipe.Loss())

    def predict(self, images: Tensor) -> Tensor:
        """Valence and arousal (N, 2) of pictures (N, H, W, 3)."""
        return self._va(images.permute(0, 3, 1, 2).float())

    def _va(self, pixels: Tensor) -> Tensor:
        return self.head(self(self.normalization(pixels)))


def regression_head(width: int) -> nn.Linear:
    """The head of `width` features; small weights and no bias at the start."""
    head = nn.Linear(width, 2)
    nn.init.trunc_normal_(head.weight, std=0.02)
    nn.init.zeros_(head.bias)
    return head
