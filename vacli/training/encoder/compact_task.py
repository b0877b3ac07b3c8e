"""What is learned from single frames: a network, how images reach it, and its loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vacli.features.compact.layout import INPUT_PX, reduction
from vacli.features.compact.network import CompactFace, small_grey
from vacli.recipe import schema as recipe
from vacli.training.encoder.augmentation import Distort, distort
from vacli.training.losses import ccc_loss

CACHE_PX = 96  # twice the input: room to turn and zoom before the last reduction
COMPACT_DISTORT = Distort(scale=(0.85, 1.1), blur=1.0, gamma=0.4, noise_levels=8.0, erase=0.3)


class Task(Protocol):
    """A module that `finetune.fit` can train.

    Images are uint8 as `reduce` (or the store) gives them; `reduce` None means that crops are decoded
    when they are needed, else that they are reduced once and kept in memory.
    """

    reduce: Callable[[np.ndarray], np.ndarray] | None

    def loss(self, images: Tensor, target: Tensor, votes: Tensor | None) -> Tensor:
        """The training loss of a batch, augmentation included."""
        ...

    def predict(self, images: Tensor) -> Tensor:
        """Valence and arousal (N, 2), without augmentation."""
        ...

    def layer_of(self, name: str) -> int:
        """Depth of a parameter for layer-wise learning rates, 0 next to the image."""
        ...


def single_frame_ccc(predicted: Tensor, target: Tensor, loss: recipe.Loss) -> Tensor:
    """The CCC loss over a batch of single frames. predicted, target: (N, 2)."""
    everywhere = torch.ones(1, len(target), dtype=torch.bool, device=target.device)
    return ccc_loss(predicted[None], target[None], everywhere, loss)


class CompactTask(nn.Module):
    """Emotion votes as soft targets, and the CCC of the VA that they amount to.

    Without votes only the latter. Soft targets: cross-entropy with the distribution of the votes
    (Barsoum et al. 2016, FER+, "probability distribution" scheme).
    """

    def __init__(self, face: CompactFace, loss: recipe.Loss, how: Distort = COMPACT_DISTORT) -> None:
        super().__init__()
        self.face = face.to(memory_format=torch.channels_last)
        self.weights = loss
        self.how = how

    def reduce(self, crops: np.ndarray) -> np.ndarray:
        """Crops (k, 224, 224, 3) -> grey (k, 96, 96)."""
        return small_grey(crops, CACHE_PX).numpy()

    def loss(self, images: Tensor, target: Tensor, votes: Tensor | None) -> Tensor:
        large = distort(images.unsqueeze(1).float(), self.how)
        logits = self.face(self._halved(large[:, 0]))
        loss = single_frame_ccc(self.face.expectation(logits.float()), target, self.weights)
        if votes is None:
            return loss
        return loss + F.cross_entropy(logits.float(), votes / votes.sum(1, keepdim=True).clamp_min(1e-6))

    def predict(self, images: Tensor) -> Tensor:
        return self.face.expectation(self.face(self._halved(images.float())).float())

    def layer_of(self, name: str) -> int:
        return 0

    def _halved(self, grey: Tensor) -> Tensor:
        axis = torch.from_numpy(reduction(grey.shape[-1], INPUT_PX)).to(grey.device)
        return axis @ grey @ axis.T
