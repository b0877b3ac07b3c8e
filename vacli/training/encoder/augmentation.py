"""Augmentation of face images with torch's global generator."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

BLUR = (1.0, 4.0, 6.0, 4.0, 1.0)  # binomial, a Gaussian of one pixel


@dataclass(frozen=True, kw_only=True)
class ImageAugmentation:
    """Settings of the augmentation; the first four are those of LightMamba and BDCA.

    `scale` is the range of the side of the random crop, relative to the image; above 1 the image has a black
    border. `blur`, `gamma` and `noise_levels` (grey levels of 255) are maxima, `erase` is a probability. With
    0 the step is left out.
    """

    rotation_deg: float = 10.0
    flip: bool = True
    scale: tuple[float, float] = (0.8, 1.0)
    shift: float = 1.0  # 1: the crop may lie anywhere in the image
    blur: float = 0.0
    gamma: float = 0.0
    noise_levels: float = 0.0
    erase: float = 0.0


def augment_images(images: Tensor, augmentation: ImageAugmentation) -> Tensor:
    """Augment each image with its own random numbers. images: (N, C, H, W) float in [0, 255]; same shape."""
    images = F.grid_sample(
        images, _grid(images, augmentation), mode="bilinear", padding_mode="zeros", align_corners=False
    )
    if augmentation.blur:
        images = images + augmentation.blur * _uniform(images, 0, 1) * (_blurred(images) - images)
    if augmentation.gamma:
        exponent = torch.exp(augmentation.gamma * _uniform(images, -1, 1))
        images = 255 * (images.clamp(0, 255) / 255).pow(exponent)
    if augmentation.noise_levels:
        images = images + torch.randn_like(images) * augmentation.noise_levels * _uniform(images, 0, 1)
    return _erased(images, augmentation.erase) if augmentation.erase else images


def _uniform(images: Tensor, low: float, high: float) -> Tensor:
    """One value an image, (N, 1, 1, 1)."""
    return torch.empty(len(images), 1, 1, 1, device=images.device).uniform_(low, high)


def _grid(images: Tensor, augmentation: ImageAugmentation) -> Tensor:
    """Sampling grid of a rotation, a mirror, and a crop of random size and position."""
    draw = torch.rand(5, len(images), device=images.device) * 2 - 1
    angle = draw[0] * math.radians(augmentation.rotation_deg)
    low, high = augmentation.scale
    scale = low + (high - low) * (draw[1] + 1) / 2
    max_shift = (
        augmentation.shift * (1 - scale).abs() * (1 - 1 / images.shape[-1])
    )  # no sample beyond the last pixel's centre
    mirror = torch.where(draw[4] < 0, -1.0, 1.0) if augmentation.flip else torch.ones_like(angle)
    cos, sin = scale * torch.cos(angle), scale * torch.sin(angle)
    rows = [
        torch.stack([mirror * cos, -sin, max_shift * draw[2]], -1),
        torch.stack([mirror * sin, cos, max_shift * draw[3]], -1),
    ]
    return F.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)


def _blurred(images: Tensor) -> Tensor:
    taps = torch.tensor(BLUR, device=images.device) / sum(BLUR)
    channels = images.shape[1]
    kernel = taps.expand(channels, 1, 1, -1)
    padded = F.pad(images, (2, 2, 2, 2), mode="replicate")
    wide = F.conv2d(padded, kernel, groups=channels)
    return F.conv2d(wide, kernel.transpose(2, 3), groups=channels)


def _erased(images: Tensor, p: float) -> Tensor:
    """A rectangle of up to a third of each side replaced by the image's mean (Zhong et al. 2020)."""
    side = images.shape[-1]
    place = torch.linspace(0, 1, side, device=images.device)
    centre, half = torch.rand(2, len(images), 2, 1, device=images.device)
    inside = (place - centre).abs() < half / 6
    box = inside[:, 0, :, None] & inside[:, 1, None, :]
    hit = torch.rand(len(images), 1, 1, device=images.device) < p
    return torch.where((box & hit)[:, None], images.mean(dim=(1, 2, 3), keepdim=True), images)
