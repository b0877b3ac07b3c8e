"""A network on single frames with its loss, and the settings of its training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vacli.features.encoder_run import DEFAULT_NORMALISE, EncoderRun
from vacli.recipe import schema as recipe
from vacli.training.losses import ccc_loss


@dataclass(frozen=True, kw_only=True)
class EncoderTrainingConfig:
    """How an encoder is trained.

    A step averages the gradients of `grad_accum` batches of `batch_size` frames. The CCC is that of one
    batch, so batches should be as large as memory allows. `layer_decay` multiplies the learning rate once
    a layer from the top down, as in the recipes of BEiT and MAE. `ema_decay` as in `TrainerConfig`.
    """

    epochs: int = 20
    batch_size: int = 64
    grad_accum: int = 1
    layer_decay: float = 0.75
    patience_epochs: int | None = 5
    ema_decay: float = 0.0
    amp: bool = True
    seed: int = 42
    loss: recipe.Loss = recipe.Loss()
    optim: recipe.Optim = recipe.Optim(lr=2.5e-4, weight_decay=0.05)
    schedule: recipe.Schedule = recipe.Schedule(warmup_epochs=2.0)


class Objective(nn.Module):
    """A network with its loss on single frames.

    Images are uint8, as `reduce` (or the store) returns them. Where `reduce` is None, crops are decoded
    when they are needed; otherwise all of them are reduced once and kept in memory.
    """

    reduce: Callable[[np.ndarray], np.ndarray] | None = None

    def loss(self, images: Tensor, target: Tensor, votes: Tensor | None) -> Tensor:
        """The training loss of a batch, (), augmentation included.

        target: (N, 2) valence and arousal. votes: (N, E) votes for each emotion, or None.
        """
        raise NotImplementedError

    def predict(self, images: Tensor) -> Tensor:
        """Valence and arousal (N, 2), without augmentation."""
        raise NotImplementedError

    def layer_of(self, name: str) -> int:
        """Depth of a parameter for layer-wise learning rates, 0 next to the image."""
        return 0

    def export(self) -> dict[str, Tensor]:
        """The tensors that the finished run keeps."""
        return dict(self.state_dict())


@dataclass(frozen=True, kw_only=True)
class EncoderRequest:
    """Which encoder to train with which objective, and its initial weights.

    weights: None for the published or bundled ones. normalise: None for DEFAULT_NORMALISE; compact has no
    choice.
    """

    encoder: str
    objective: str
    weights: Path | None
    from_scratch: bool
    freeze_blocks: int | None
    normalise: str | None

    @property
    def pixel_statistics(self) -> str:
        """A key of NORMALISATIONS, or `model` for those of the pre-training."""
        return self.normalise or DEFAULT_NORMALISE


@dataclass(frozen=True)
class EncoderSetup:
    """An objective, the default settings of its training, and the record of its run."""

    objective: Objective
    config: EncoderTrainingConfig
    record: EncoderRun


def single_frame_ccc(preds: Tensor, target: Tensor, loss: recipe.Loss) -> Tensor:
    """The CCC loss over a batch of single frames, (). preds, target: (N, 2)."""
    everywhere = torch.ones(1, len(target), dtype=torch.bool, device=target.device)
    return ccc_loss(preds[None], target[None], everywhere, loss)
