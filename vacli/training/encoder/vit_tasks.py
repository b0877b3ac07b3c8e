"""Vision transformers on single frames: hierarchical fine-tuning, and masked pre-training."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from vacli.errors import UsageError
from vacli.features.backbones.backbone import NORMALISATIONS, own_normalisation, published_weights
from vacli.features.backbones.vit import PartlyFrozen, build_vit, load_encoder
from vacli.features.encoder_run import EncoderRun
from vacli.features.weights import load_tensors
from vacli.progress import Progress
from vacli.recipe import schema as recipe
from vacli.training.encoder.augmentation import Distort, distort
from vacli.training.encoder.compact_task import single_frame_ccc
from vacli.training.encoder.learner import Learner, Request
from vacli.training.encoder.mae import MaskedAutoencoder
from vacli.training.encoder.trainer import Plan

PIXEL_LEVELS = 255.0
PAPER_DISTORT = Distort()
PRETRAIN_DISTORT = Distort(rotation_deg=0.0, scale=(0.5, 1.0))
DROP_PATH = 0.2  # facebookresearch/mae, FINETUNE.md, ViT-L
VA_PLAN = Plan(epochs=20, batch_size=64, layer_decay=0.75, patience_epochs=5)
# facebookresearch/mae, PRETRAIN.md: base rate 1.5e-4 x batch / 256, weight decay 0.05, 40 epochs warm-up.
RECONSTRUCT_PLAN = Plan(
    epochs=200,
    batch_size=64,
    layer_decay=1.0,
    patience_epochs=None,
    optim=recipe.Optim(lr=1.5e-4, weight_decay=0.05),
    schedule=recipe.Schedule(warmup_epochs=10.0),
)


class Normalise(nn.Module):
    """Pixels (N, 3, H, W) in [0, 255] -> zero mean and unit spread by the given statistics."""

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1) * PIXEL_LEVELS, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1) * PIXEL_LEVELS, persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        return (pixels - self.mean) / self.std


class VaTask(PartlyFrozen):
    """VA from the class token, trained with the CCC loss (BDCA II-B, LightMamba III-B)."""

    reduce = None

    def __init__(
        self, vit: nn.Module, frozen_blocks: int, normalise: Normalise, how: Distort = PAPER_DISTORT
    ) -> None:
        super().__init__(vit, frozen_blocks)
        self.head = nn.Linear(vit.embed_dim, 2)
        nn.init.trunc_normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        self.normalise = normalise
        self.how = how

    def loss(self, images: Tensor, target: Tensor, votes: Tensor | None) -> Tensor:
        pixels = distort(images.permute(0, 3, 1, 2).float(), self.how)
        return single_frame_ccc(self._va(pixels).float(), target, VA_PLAN.loss)

    def predict(self, images: Tensor) -> Tensor:
        return self._va(images.permute(0, 3, 1, 2).float())

    def layer_of(self, name: str) -> int:
        return layer_of_vit(name, len(self.encoder.blocks))

    def _va(self, pixels: Tensor) -> Tensor:
        return self.head(self(self.normalise(pixels)))


class ReconstructTask(MaskedAutoencoder):
    """Masked-autoencoder pre-training on unlabelled faces (He et al. 2022, arXiv 2111.06377)."""

    reduce = None

    def __init__(self, vit: nn.Module, normalise: Normalise, how: Distort = PRETRAIN_DISTORT) -> None:
        super().__init__(vit)
        self.normalise = normalise
        self.how = how

    def loss(self, images: Tensor, target: Tensor, votes: Tensor | None) -> Tensor:
        pixels = images.permute(0, 3, 1, 2).float()
        return self(self.normalise(distort(pixels, self.how) if self.training else pixels))

    def predict(self, images: Tensor) -> Tensor:
        raise UsageError("a masked autoencoder predicts no valence or arousal")

    def layer_of(self, name: str) -> int:
        return 0


def layer_of_vit(name: str, depth: int) -> int:
    """0 for what precedes the blocks, i + 1 for block i, depth + 1 for norm and head (BEiT's numbering)."""
    if not name.startswith("encoder.") or name.startswith("encoder.norm."):
        return depth + 1
    return int(name.split(".")[2]) + 1 if name.startswith("encoder.blocks.") else 0


def vit_learner(request: Request, progress: Progress) -> Learner:
    """The task that `request` describes, on timm's vision transformer of that name."""
    reconstruct = request.objective == "reconstruct"
    vit = build_vit(request.encoder, 0.0 if reconstruct else DROP_PATH, empty=not request.from_scratch)
    frozen = _frozen_blocks(request, len(vit.blocks))
    _load(vit, request, progress)
    mean, std = NORMALISATIONS.get(request.normalise) or own_normalisation(request.encoder)
    record = EncoderRun(encoder=request.encoder, objective=request.objective, mean=mean, std=std)
    if reconstruct:
        return Learner(ReconstructTask(vit, Normalise(mean, std)), RECONSTRUCT_PLAN, record)
    task = VaTask(vit, frozen, Normalise(mean, std))
    plan = VA_PLAN if frozen else replace(VA_PLAN, batch_size=VA_PLAN.batch_size // 2)
    return Learner(task, plan, record)


def _frozen_blocks(request: Request, depth: int) -> int:
    """Two thirds of the blocks unless asked otherwise: 16 of ViT-L's 24; none where nothing is loaded."""
    if request.objective == "reconstruct" or request.from_scratch:
        if request.freeze_blocks:
            raise UsageError(
                "blocks that were never trained cannot be frozen", hint="leave out --freeze-blocks"
            )
        return 0
    return depth * 2 // 3 if request.freeze_blocks is None else request.freeze_blocks


def _load(vit: nn.Module, request: Request, progress: Progress) -> None:
    if request.from_scratch:
        return
    path = published_weights(request.encoder, request.weights, progress)
    load_encoder(vit, load_tensors(path), path)
