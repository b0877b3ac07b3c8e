"""Vision transformers on single frames: hierarchical fine-tuning, and masked pre-training."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from torch import Tensor

from vacli.errors import UsageError
from vacli.features.backbones.backbone import NORMALISATIONS, own_normalisation, published_weights
from vacli.features.backbones.vit import PartlyFrozen, build_vit, load_encoder
from vacli.features.encoder_run import EncoderRun
from vacli.features.weights import load_tensors
from vacli.progress import Progress
from vacli.recipe import schema as recipe
from vacli.training.encoder.augmentation import ImageAugmentation, augment_images
from vacli.training.encoder.mae import MaskedAutoencoder
from vacli.training.encoder.objective import (
    EncoderRequest,
    EncoderSetup,
    EncoderTrainingConfig,
    Objective,
)
from vacli.training.encoder.regression import (
    PAPER_AUGMENTATION,
    FrameRegression,
    PixelNormalization,
    regression_head,
)

if TYPE_CHECKING:
    from timm.models.vision_transformer import VisionTransformer

PRETRAIN_AUGMENTATION = ImageAugmentation(rotation_deg=0.0, scale=(0.5, 1.0))
DROP_PATH = 0.2  # facebookresearch/mae, FINETUNE.md, ViT-L
VA_CONFIG = EncoderTrainingConfig(epochs=20, batch_size=64, layer_decay=0.75, patience_epochs=5)
# facebookresearch/mae, PRETRAIN.md: base rate 1.5e-4 x batch / 256, weight decay 0.05, 40 epochs warm-up.
RECONSTRUCT_CONFIG = EncoderTrainingConfig(
    epochs=200,
    batch_size=64,
    layer_decay=1.0,
    patience_epochs=None,
    optim=recipe.Optim(lr=1.5e-4, weight_decay=0.05),
    schedule=recipe.Schedule(warmup_epochs=10.0),
)


class VaObjective(PartlyFrozen, FrameRegression):
    """VA from the class token, trained with the CCC loss (BDCA II-B, LightMamba III-B)."""

    encoder: VisionTransformer

    def __init__(
        self,
        vit: VisionTransformer,
        frozen_blocks: int,
        normalization: PixelNormalization,
        augmentation: ImageAugmentation = PAPER_AUGMENTATION,
    ) -> None:
        super().__init__(vit, frozen_blocks)
        self.head = regression_head(vit.embed_dim)
        self.normalization = normalization
        self.augmentation = augmentation

    def layer_of(self, name: str) -> int:
        """The layer of a parameter, see `layer_of_vit`."""
        return layer_of_vit(name, len(self.encoder.blocks))


class ReconstructObjective(MaskedAutoencoder, Objective):
    """Masked-autoencoder pre-training on unlabelled faces (He et al. 2022, arXiv 2111.06377)."""

    def __init__(
        self,
        vit: VisionTransformer,
        normalization: PixelNormalization,
        augmentation: ImageAugmentation = PRETRAIN_AUGMENTATION,
    ) -> None:
        super().__init__(vit)
        self.normalization = normalization
        self.augmentation = augmentation

    def loss(self, images: Tensor, target: Tensor, votes: Tensor | None) -> Tensor:
        """The reconstruction error of masked patches; labels are not used."""
        pixels = images.permute(0, 3, 1, 2).float()
        return self(
            self.normalization(augment_images(pixels, self.augmentation) if self.training else pixels)
        )

    def predict(self, images: Tensor) -> Tensor:
        """Raises UsageError."""
        raise UsageError("a masked autoencoder does not predict valence and arousal")


def layer_of_vit(name: str, depth: int) -> int:
    """0 before the blocks, i + 1 for block i, depth + 1 for norm and head (BEiT's numbering)."""
    if not name.startswith("encoder.") or name.startswith("encoder.norm."):
        return depth + 1
    return int(name.split(".")[2]) + 1 if name.startswith("encoder.blocks.") else 0


def create_vit_setup(request: EncoderRequest, progress: Progress) -> EncoderSetup:
    """The requested objective on timm's vision transformer of that name."""
    reconstruct = request.objective == "reconstruct"
    drop_path = 0.0 if reconstruct else DROP_PATH
    vit = build_vit(request.encoder, drop_path, empty=not request.from_scratch)
    frozen = _frozen_blocks(request, len(vit.blocks))
    _load(vit, request, progress)
    mean, std = NORMALISATIONS.get(request.pixel_statistics) or own_normalisation(request.encoder)
    record = EncoderRun(encoder=request.encoder, objective=request.objective, mean=mean, std=std)
    if reconstruct:
        return EncoderSetup(
            ReconstructObjective(vit, PixelNormalization(mean, std)), RECONSTRUCT_CONFIG, record
        )
    objective = VaObjective(vit, frozen, PixelNormalization(mean, std))
    config = VA_CONFIG if frozen else replace(VA_CONFIG, batch_size=VA_CONFIG.batch_size // 2)
    return EncoderSetup(objective, config, record)


def _frozen_blocks(request: EncoderRequest, depth: int) -> int:
    """By default two thirds of the blocks, 16 of ViT-L's 24; none where no weights are loaded."""
    if request.objective == "reconstruct" or request.from_scratch:
        if request.freeze_blocks:
            raise UsageError(
                "blocks without trained weights cannot be frozen", hint="leave out --freeze-blocks"
            )
        return 0
    return depth * 2 // 3 if request.freeze_blocks is None else request.freeze_blocks


def _load(vit: VisionTransformer, request: EncoderRequest, progress: Progress) -> None:
    if request.from_scratch:
        return
    path = published_weights(request.encoder, request.weights, progress)
    load_encoder(vit, load_tensors(path), path)
