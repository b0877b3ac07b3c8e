"""The bundled face network: small, grey, and fast on a CPU.

A crop is reduced to grey 48 x 48 with antialiasing before the network sees it, so that a sharp
224-pixel crop and an enlarged 48-pixel face look alike. The network reports a distribution over
eight emotions; valence and arousal are its expectation over fixed points of the circumplex, which
keeps what it learned from votes (soft targets) and what it is asked for (VA) one and the same.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vacli.circumplex import EMOTION_VA, EMOTIONS
from vacli.errors import WeightsError
from vacli.features.encoder_run import read_encoder_run
from vacli.features.running import AS_IT_FITS, Running, in_batches, pick_device
from vacli.features.weights import load_into, load_tensors, locate, short_hash
from vacli.progress import Progress, Quiet
from vacli.spec import VISUAL, FeatureSpec

CROP_PX = 224
INPUT_PX = 48
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
WIDTHS = (32, 64, 128, 256)
DEPTHS = (0, 1, 1, 2)  # only the stem sees the full 48 x 48: work there costs most
EMBEDDING = 118  # with 2 + 8 outputs in front, a row has 128 values
DIM = 2 + len(EMOTIONS) + EMBEDDING
BATCH = 32


def reduction(source_px: int = CROP_PX, target_px: int = INPUT_PX) -> Tensor:
    """The matrix (target, source) that resizes one axis with a triangle filter, antialiased."""
    scale = source_px / target_px
    centre = (torch.arange(target_px, dtype=torch.float64) + 0.5) * scale
    position = torch.arange(source_px, dtype=torch.float64) + 0.5
    weight = (1 - (position[None] - centre[:, None]).abs() / max(scale, 1.0)).clamp(min=0)
    return (weight / weight.sum(1, keepdim=True)).float()


def small_grey(crops: np.ndarray | Tensor, side_px: int = INPUT_PX) -> Tensor:
    """Crops (N, 224, 224, 3) uint8 RGB -> (N, 48, 48) uint8 grey, all that the network looks at."""
    if isinstance(crops, np.ndarray):
        crops = torch.from_numpy(np.require(crops, requirements=["C", "W"]))
    axis = reduction(crops.shape[1], side_px).to(crops.device)
    grey = crops.to(torch.float32) @ torch.tensor(LUMA, device=crops.device)
    return (axis @ grey @ axis.T).round_().clamp_(0, 255).to(torch.uint8)


def standardise(grey: Tensor) -> Tensor:
    """(N, 48, 48) uint8 -> (N, 1, 48, 48) float32 of zero mean and unit spread, image by image."""
    pixels = grey.unsqueeze(1).to(torch.float32)
    spread, mean = torch.std_mean(pixels, dim=(2, 3), keepdim=True, correction=0)
    return (pixels - mean) / (spread + 4.0)  # 4 grey levels: an empty crop stays near zero


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
        inner = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(inner)) + self.shortcut(x))


class CompactFace(nn.Module):
    """Grey faces (N, 48, 48) uint8 -> (N, 8) emotion logits; at most 3M parameters."""

    def __init__(self, widths: tuple[int, ...] = WIDTHS, depths: tuple[int, ...] = DEPTHS) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, widths[0], 3, 1, 1, bias=False)
        self.stem_norm = nn.BatchNorm2d(widths[0])
        blocks, width = [], widths[0]
        for stage, (outward, depth) in enumerate(zip(widths, depths, strict=True)):
            for place in range(depth):
                blocks.append(Residual(width, outward, 2 if stage and not place else 1))
                width = outward
        self.blocks = nn.Sequential(*blocks)
        self.embed = nn.Linear(width, EMBEDDING)
        self.dropout = nn.Dropout(0.3)
        self.votes = nn.Linear(EMBEDDING, len(EMOTIONS))
        self.register_buffer("points", torch.tensor(EMOTION_VA), persistent=False)

    def embedding(self, grey: Tensor) -> Tensor:
        """(N, 48, 48) uint8 -> (N, 118)."""
        x = standardise(grey).to(self.stem.weight.dtype).contiguous(memory_format=torch.channels_last)
        x = self.blocks(torch.relu(self.stem_norm(self.stem(x))))
        return torch.relu(self.embed(x.mean(dim=(2, 3))))

    def forward(self, grey: Tensor) -> Tensor:
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
    model.stem, model.stem_norm = fuse_conv_bn_eval(model.stem, model.stem_norm), nn.Identity()
    for block in model.blocks:
        block.conv1, block.norm1 = fuse_conv_bn_eval(block.conv1, block.norm1), nn.Identity()
        block.conv2, block.norm2 = fuse_conv_bn_eval(block.conv2, block.norm2), nn.Identity()
    return model.to(memory_format=torch.channels_last)


def columns() -> tuple[str, ...]:
    """Names of the 128 values of a row."""
    width = int(math.log10(EMBEDDING)) + 1
    return ("valence", "arousal", *EMOTIONS, *(f"e{i:0{width}d}" for i in range(EMBEDDING)))


def read_out(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Valence and arousal (N, 2) that rows (N, 128) state by themselves, and how far the emotions that they
    consist of lie apart: the standard deviation (N, 2) of their points."""
    values, shares = rows[:, :2], rows[:, 2 : 2 + len(EMOTIONS)]
    variance = shares @ np.square(np.asarray(EMOTION_VA, np.float32)) - np.square(values)
    return values, np.sqrt(np.maximum(variance, 0))


class Compact:
    """Extractor `compact`: the bundled network on aligned crops."""

    def __init__(
        self,
        weights: Path | None = None,
        running: Running = AS_IT_FITS,
        progress: Progress | None = None,
    ) -> None:
        path = _weights_file(weights, progress or Quiet())
        self.device = pick_device(running.device)
        model = CompactFace()
        load_into(model, load_tensors(path), path)
        self.model = for_inference(model).to(self.device)
        self.batch_size = running.batch_size or BATCH
        self.spec = FeatureSpec(
            name="compact",
            version="1",
            modality=VISUAL,
            dim=DIM,
            columns=columns(),
            units="VA in [-1, 1], probabilities, activations",
            settings={"weights": short_hash(path)},
        )

    def extract(self, crops: np.ndarray) -> np.ndarray:
        """Crops (N, 224, 224, 3) uint8 RGB -> (N, 128) float32."""
        return in_batches(self._rows, crops, self.batch_size, DIM)

    def _rows(self, crops: np.ndarray) -> Tensor:
        return self.model.rows(small_grey(torch.from_numpy(crops).to(self.device)))


def _weights_file(given: Path | None, progress: Progress) -> Path:
    """The bundled weights, a file, or the best weights of a fine-tuned run's folder."""
    if given is None or not Path(given).is_dir():
        return locate("compact", given, progress)
    run, path = read_encoder_run(Path(given))
    if run.encoder != "compact":
        raise WeightsError(
            f"{given} holds a fine-tuned {run.encoder}, not compact", hint=f"give --feature {run.encoder}"
        )
    return path
