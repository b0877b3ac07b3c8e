"""Fine-tuning of a whole timm model, such as the ResNet-50 of the ABAW challenges' baseline."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor, nn

from vacli.errors import UsageError
from vacli.features.backbones.backbone import (
    NORMALISATIONS,
    create_timm,
    load_by_timm,
    own_normalisation,
    published_weights,
)
from vacli.features.backbones.vit import SIDE_PX
from vacli.features.encoder_run import EncoderRun
from vacli.progress import Progress
from vacli.recipe import schema as recipe
from vacli.training.encoder.augmentation import ImageAugmentation
from vacli.training.encoder.objective import EncoderRequest, EncoderSetup
from vacli.training.encoder.regression import (
    PAPER_AUGMENTATION,
    FrameRegression,
    PixelNormalization,
    regression_head,
)
from vacli.training.encoder.vit_objectives import VA_CONFIG

# No source: the challenge's description of its baseline has no fine-tuning. All layers have one rate.
TIMM_CONFIG = replace(VA_CONFIG, layer_decay=1.0, optim=recipe.Optim(lr=1e-4, weight_decay=0.05))


class TimmObjective(FrameRegression):
    """VA from the pooled output of a timm model without its head; all layers are trained."""

    def __init__(
        self,
        encoder: nn.Module,
        width: int,
        normalization: PixelNormalization,
        augmentation: ImageAugmentation = PAPER_AUGMENTATION,
    ) -> None:
        """encoder: images (N, 3, 224, 224) -> (N, width)."""
        super().__init__()
        self.encoder = encoder
        self.head = regression_head(width)
        self.normalization = normalization
        self.augmentation = augmentation

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images (N, 3, 224, 224) -> pooled features (N, D)."""
        return self.encoder(images)


def create_timm_setup(request: EncoderRequest, progress: Progress) -> EncoderSetup:
    """The requested timm model; UsageError for what only vision transformers have."""
    if request.objective != "va":
        raise UsageError(
            f"the encoder {request.encoder} has no objective `{request.objective}`",
            hint="pre-train a vision transformer instead",
        )
    if request.freeze_blocks:
        raise UsageError(
            f"the encoder {request.encoder} has no blocks to freeze", hint="leave out --freeze-blocks"
        )
    if request.from_scratch:
        encoder = create_timm(request.encoder)
    else:
        encoder = load_by_timm(request.encoder, published_weights(request.encoder, request.weights, progress))
    mean, std = NORMALISATIONS.get(request.pixel_statistics) or own_normalisation(request.encoder)
    record = EncoderRun(encoder=request.encoder, objective="va", mean=mean, std=std)
    width = _output_width(encoder, request.encoder)
    return EncoderSetup(TimmObjective(encoder, width, PixelNormalization(mean, std)), TIMM_CONFIG, record)


def _output_width(encoder: nn.Module, name: str) -> int:
    """The number of values for an image; timm's `num_features` excludes convolutional heads.

    Raises UsageError if the encoder takes no images of 224 x 224.
    """
    try:
        with torch.no_grad():  # of a copy: some models keep tensors of a forward pass
            output = deepcopy(encoder).eval()(torch.zeros(1, 3, SIDE_PX, SIDE_PX))
    except (AssertionError, RuntimeError, ValueError):
        raise UsageError(
            f"the encoder {name} takes no images of {SIDE_PX} x {SIDE_PX}",
            hint="name a model for that size, see timm.list_models()",
        ) from None
    return int(output.shape[-1])
