"""The bundled face network in torch, for training, export and GPUs.

A crop is reduced to grey 48 x 48 with antialiasing before the network, so that a sharp
224-pixel crop and an enlarged 48-pixel face look alike. The network reports a distribution over
eight emotions; valence and arousal are its expectation over fixed points of the circumplex, which
makes the soft targets of training (votes) and the output (VA) one quantity.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vacli.circumplex import EMOTION_VA, EMOTIONS
from vacli.features.compact.layout import (
    DEPTHS,
    DIM,
    EMBEDDING,
    GREY_FLOOR,
    INPUT_PX,
    LUMA,
    WIDTHS,
    blocks,
    reduction,
)
from vacli.features.weights import load_into, load_tensors
from vacli.runtime.devices import in_batches, pick_device


def small_grey(crops: np.ndarray | Tensor, side_px: int = INPUT_PX) -> Tensor:
    """Crops (N, 224, 224, 3) uint8 RGB -> grey (N, 48, 48) uint8, the input of the network."""
    if isinstance(crops, np.ndarray):
        crops = torch.from_numpy(np.require(crops, requirements=["C", "W"]))
    axis = torch.from_numpy(reduction(int(crops.shape[1]), side_px)).to(crops.device)
    luma = torch.tensor(LUMA, device=crops.device).unsqueeze(-1)  # ONNX Runtime is slow with a vector
    grey = (crops.to(torch.float32) @ luma).squeeze(-1)
    return (axis @ grey @ axis.T).round_().clamp_(0, 255).to(torch.uint8)


def standardise(grey: Tensor) -> Tensor:
    """(N, 48, 48) uint8 -> (N, 1, 48, 48) float32 of zero mean and unit spread, image by image."""
    pixels = grey.unsqueeze(1).to(torch.float32)
    spread, mean = torch.std_mean(pixels, dim=(2, 3), keepdim=True, correction=0)
    return (pixels - mean) / (spread + GREY_FLOOR)


class Residual(nn.Module):
    """Two 3 x 3 convolutions around a shortcut (He et al. 2016, arXiv 1512.03385, figure 2)."""

    def __init__(self, inward: int, outward: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inward, outward, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outward)
        self.conv2 = nn.Conv2d(outward, outward, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outward)
        same = inward == outward and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(inward, outward, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, C, H, W) -> (N, outward, H / stride, W / stride)."""
        inner = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(inner)) + self.shortcut(x))


class CompactFace(nn.Module):
    """Grey faces (N, 48, 48) uint8 -> (N, 8) emotion logits; at most 3M parameters."""

    def __init__(self, widths: tuple[int, ...] = WIDTHS, depths: tuple[int, ...] = DEPTHS) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, widths[0], 3, 1, 1, bias=False)
        self.stem_norm = nn.BatchNorm2d(widths[0])
        self.blocks = nn.Sequential(*(Residual(*shape) for _, *shape in blocks(widths, depths)))
        self.embed = nn.Linear(widths[-1], EMBEDDING)
        self.dropout = nn.Dropout(0.3)
        self.votes = nn.Linear(EMBEDDING, len(EMOTIONS))
        self.points: Tensor
        self.register_buffer("points", torch.tensor(EMOTION_VA), persistent=False)

    def embedding(self, grey: Tensor) -> Tensor:
        """(N, 48, 48) uint8 -> (N, 118)."""
        x = standardise(grey).to(self.stem.weight.dtype).contiguous(memory_format=torch.channels_last)
        x = self.blocks(torch.relu(self.stem_norm(self.stem(x))))
        return torch.relu(self.embed(x.mean(dim=(2, 3))))

    def forward(self, grey: Tensor) -> Tensor:
        """Emotion logits (N, 8)."""
        return self.votes(self.dropout(self.embedding(grey)))

    def expectation(self, logits: Tensor) -> Tensor:
        """Valence and arousal (N, 2) of emotion logits (N, 8)."""
        return logits.softmax(-1) @ self.points.to(logits.dtype)

    def rows(self, grey: Tensor) -> Tensor:
        """The feature: valence, arousal, eight probabilities, embedding; (N, 128) float32."""
        embedding = self.embedding(grey)
        logits = self.votes(embedding)
        return torch.cat([self.expectation(logits), logits.softmax(-1), embedding], dim=1).float()


def for_inference(model: CompactFace) -> CompactFace:
    """Fold the batch norms into the convolutions, in place; equal results up to rounding."""
    model.eval().requires_grad_(False)
    _fold(model, "stem", "stem_norm")
    for block in model.blocks:
        _fold(block, "conv1", "norm1")
        _fold(block, "conv2", "norm2")
    return model.to(memory_format=torch.channels_last)


def _fold(module: nn.Module, conv: str, norm: str) -> None:
    """Fold the batch norm after a convolution into its weights."""
    folded = fuse_conv_bn_eval(
        cast(nn.Conv2d, module.get_submodule(conv)), cast(nn.BatchNorm2d, module.get_submodule(norm))
    )
    setattr(module, conv, folded)
    setattr(module, norm, nn.Identity())


def load_weights(face: CompactFace, path: Path) -> None:
    """Load a face network from safetensors, or from the ONNX file of `export.to_onnx`.

    Raises WeightsError where the tensors are those of another network.
    """
    tensors = load_tensors(path)
    if path.suffix == ".onnx":  # its graph has no use for the batch norms' counters
        counters = {k: v for k, v in face.state_dict().items() if k.endswith("num_batches_tracked")}
        tensors = counters | tensors
    load_into(face, tensors, path)


def on_device(path: Path, device: str, batch_size: int) -> Callable[[np.ndarray], np.ndarray]:
    """The torch network with the weights in `path`.

    It maps crops (N, 224, 224, 3) uint8 RGB to rows (N, 128) float32.
    """
    model, place = CompactFace(), pick_device(device)
    load_weights(model, path)
    model = for_inference(model).to(place)

    def rows(crops: np.ndarray) -> Tensor:
        return model.rows(small_grey(torch.from_numpy(crops).to(place)))

    return lambda crops: in_batches(rows, crops, batch_size, DIM)
