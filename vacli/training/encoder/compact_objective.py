"""The compact face network with its loss on single frames."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vacli.features.compact.layout import INPUT_PX, reduction
from vacli.features.compact.network import CompactFace, small_grey
from vacli.recipe import schema as recipe
from vacli.training.encoder.augmentation import ImageAugmentation, augment_images
from vacli.training.encoder.objective import Objective, single_frame_ccc

CACHE_PX = 96  # twice the input: the margin for rotation and scaling before the last reduction
COMPACT_AUGMENTATION = ImageAugmentation(scale=(0.85, 1.1), blur=1.0, gamma=0.4, noise_levels=8.0, erase=0.3)


def reduce_crops(crops: np.ndarray) -> np.ndarray:
    """Crops (k, 224, 224, 3) uint8 -> grey (k, 96, 96) uint8."""
    return small_grey(crops, CACHE_PX).numpy()


class CompactObjective(Objective):
    """Cross-entropy with emotion votes as soft targets, plus the CCC loss of the expected VA.

    Without votes only the CCC loss. Soft targets are the distribution of the votes (Barsoum et al. 2016,
    FER+, "probability distribution" scheme).
    """

    reduce = staticmethod(reduce_crops)

    def __init__(
        self,
        face: CompactFace,
        loss: recipe.Loss,
        augmentation: ImageAugmentation = COMPACT_AUGMENTATION,
    ) -> None:
        super().__init__()
        self.face = face.to(memory_format=torch.channels_last)
        self.loss_weights = loss
        self.augmentation = augmentation

    def loss(self, images: Tensor, target: Tensor, votes: Tensor | None) -> Tensor:
        """See `Objective.loss`; with votes the cross-entropy of the emotions is added."""
        large = augment_images(images.unsqueeze(1).float(), self.augmentation)
        logits = self.face(self._reduced(large[:, 0]))
        loss = single_frame_ccc(self.face.expectation(logits.float()), target, self.loss_weights)
        if votes is None:
            return loss
        return loss + F.cross_entropy(logits.float(), votes / votes.sum(1, keepdim=True).clamp_min(1e-6))

    def predict(self, images: Tensor) -> Tensor:
        """Valence and arousal (N, 2): the expectation over the emotions."""
        return self.face.expectation(self.face(self._reduced(images.float())).float())

    def export(self) -> dict[str, Tensor]:
        """The face network's tensors under its own keys, as the bundled network has them."""
        return dict(self.face.state_dict())

    def _reduced(self, grey: Tensor) -> Tensor:
        axis = torch.from_numpy(reduction(grey.shape[-1], INPUT_PX)).to(grey.device)
        return axis @ grey @ axis.T
