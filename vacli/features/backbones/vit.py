"""Vision transformers as frame encoders: built by timm, loaded from either layout, partly frozen.

The feature of a frame is its class token after the final norm.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from vacli.errors import UsageError
from vacli.features.weights import check_keys

if TYPE_CHECKING:
    from timm.models.vision_transformer import VisionTransformer

SIDE_PX = 224
ALIASES = {"mae-vit-l": "vit_large_patch16_224.mae"}
NOT_ENCODER = ("decoder", "mask_token", "head.", "head_dist.")  # key prefixes of other parts of a checkpoint


def timm_name(encoder: str) -> str:
    """timm's name of an encoder; names that are not aliases are returned unchanged."""
    return ALIASES.get(encoder, encoder.removeprefix("timm:"))


def build_vit(encoder: str, drop_path: float = 0.0, *, empty: bool = False) -> VisionTransformer:
    """timm's vision transformer for 224 x 224 without a head; its position embedding is sin-cos.

    With `empty` its tensors are on the meta device, for weights that are loaded later.
    Raises UsageError if the model is not a vision transformer with a class token.
    """
    import timm
    from timm.models.vision_transformer import VisionTransformer

    name = timm_name(encoder)
    if not timm.is_model(name):
        raise UsageError(f"timm has no model {name!r}", hint="see timm.list_models()")
    options: dict[str, Any] = {
        "num_classes": 0,
        "global_pool": "token",
        "img_size": SIDE_PX,
        "drop_path_rate": drop_path,
    }
    try:
        with torch.device("meta" if empty else "cpu"):
            vit = timm.create_model(name, pretrained=False, **options)
    except (TypeError, RuntimeError, AssertionError):
        vit = None
    if not isinstance(vit, VisionTransformer) or vit.cls_token is None or vit.pos_embed is None:
        raise UsageError(
            f"{encoder!r} is not a vision transformer with a class token and position embeddings"
        )
    vit.pos_embed.requires_grad_(False)
    if not empty:
        vit.pos_embed.copy_(fixed_positions(vit))
    return vit


def is_vision_transformer(encoder: str) -> bool:
    """Whether an encoder is timm's VisionTransformer; UsageError if timm has no such model."""
    import timm
    from timm.models.vision_transformer import VisionTransformer

    name = timm_name(encoder)
    if not timm.is_model(name):
        raise UsageError(f"timm has no model {name!r}", hint="see timm.list_models()")
    with torch.device("meta"):
        return isinstance(timm.create_model(name, pretrained=False, num_classes=0), VisionTransformer)


def has_class_token(name: str) -> bool:
    """Whether timm's model `name` is a vision transformer for 224 x 224 whose output is its class token."""
    import timm
    from timm.models.vision_transformer import VisionTransformer

    with torch.device("meta"):
        model = timm.create_model(name, pretrained=False, num_classes=0)
    if not isinstance(model, VisionTransformer) or model.cls_token is None or model.pos_embed is None:
        return False
    return model.global_pool == "token" and model.patch_embed.img_size == (SIDE_PX, SIDE_PX)


def sincos_positions(width: int, side: int) -> Tensor:
    """Fixed 2-D sine-cosine positions of `side` x `side` patches, row by row: (side^2, width).

    The first half of the channels encodes the column, the second the row; in each, sines precede
    cosines (He et al. 2022, arXiv 2111.06377; layout of the official util/pos_embed.py).
    """
    quarter = width // 4
    omega = 1.0 / 10000 ** (torch.arange(quarter, dtype=torch.float64) / quarter)
    angle = torch.arange(side, dtype=torch.float64)[:, None] * omega
    axis = torch.cat([angle.sin(), angle.cos()], dim=1)
    column = axis[None].expand(side, side, -1)
    row = axis[:, None].expand(side, side, -1)
    return torch.cat([column, row], dim=-1).reshape(side * side, -1).float()


def fixed_positions(vit: VisionTransformer) -> Tensor:
    """The position embedding of a vision transformer, (1, T, D), zeros for its prefix tokens."""
    _, tokens, width = position_embedding(vit).shape
    side = vit.patch_embed.grid_size[0]
    positions = torch.zeros(1, tokens, width)
    positions[0, tokens - side * side :] = sincos_positions(width, side)
    return positions


def load_encoder(vit: VisionTransformer, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Load a checkpoint of MAE's official layout, of timm's, or of a fine-tuned run.

    Decoder and heads are ignored; a missing position embedding becomes the fixed one. Raises
    WeightsError with the first key that differs.
    """
    own = encoder_tensors(tensors)
    own.setdefault("pos_embed", fixed_positions(vit))
    check_keys({k: tuple(v.shape) for k, v in vit.state_dict().items()}, own, path)
    vit.load_state_dict({k: v.float() for k, v in own.items()}, assign=True)


def encoder_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's tensors of a checkpoint, under the encoder's keys."""
    plain = {key.removeprefix("module."): value for key, value in tensors.items()}
    inner = {k.removeprefix("encoder."): v for k, v in plain.items() if k.startswith("encoder.")}
    return {k: v for k, v in (inner or plain).items() if not k.startswith(NOT_ENCODER)}


def embed_patches(vit: VisionTransformer, images: Tensor) -> Tensor:
    """Normalised images (N, 3, 224, 224) -> tokens (N, T, D) before the first block."""
    return vit.norm_pre(vit.patch_drop(add_positions(vit, vit.patch_embed(images))))


def add_positions(vit: VisionTransformer, patches: Tensor) -> Tensor:
    """Patches (N, P, D) or (N, H, W, D) -> tokens (N, T, D): prefix tokens, positions, dropout.

    As timm's private `_pos_embed` for images of the size that the positions were made for.
    """
    patches = patches.flatten(1, -2)
    tokens = [token.expand(len(patches), -1, -1) for token in prefix_tokens(vit)]
    if vit.no_embed_class:
        return vit.pos_drop(torch.cat([*tokens, patches + position_embedding(vit)], dim=1))
    return vit.pos_drop(torch.cat([*tokens, patches], dim=1) + position_embedding(vit))


def position_embedding(vit: VisionTransformer) -> nn.Parameter:
    """The position embedding (1, T, D), which every encoder of `build_vit` has."""
    return cast(nn.Parameter, vit.pos_embed)


def prefix_tokens(vit: VisionTransformer) -> list[nn.Parameter]:
    """The class token, which every encoder of `build_vit` has, and registers if there are any."""
    return [token for token in (vit.cls_token, vit.reg_token) if token is not None]


def class_token(vit: VisionTransformer, images: Tensor) -> Tensor:
    """Normalised images (N, 3, 224, 224) -> (N, D): the whole encoder, one block after the other."""
    return vit.norm(vit.blocks(embed_patches(vit, images)))[:, 0]


class PartlyFrozen(nn.Module):
    """A vision transformer whose first blocks are frozen (BDCA II-B, LightMamba III-B).

    With `frozen_blocks` > 0 the patch embedding, the class token and those blocks run in evaluation
    mode and keep no activations; the positions are always fixed.
    """

    def __init__(self, vit: VisionTransformer, frozen_blocks: int) -> None:
        super().__init__()
        if not 0 <= frozen_blocks <= len(vit.blocks):
            raise UsageError(
                f"cannot freeze {frozen_blocks} blocks: the encoder has {len(vit.blocks)}",
                hint=f"--freeze-blocks takes 0 to {len(vit.blocks)}",
            )
        self.encoder = vit
        self.frozen_blocks = frozen_blocks
        if frozen_blocks:
            for module in self._front():
                module.requires_grad_(False)
            for token in prefix_tokens(vit):
                token.requires_grad_(False)

    def train(self, mode: bool = True) -> PartlyFrozen:
        """Set the mode of training; the frozen blocks stay in the mode of evaluation."""
        super().train(mode)
        if self.frozen_blocks:
            for module in self._front():
                module.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images (N, 3, 224, 224) -> class token after the final norm (N, D)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen_blocks):
            tokens = embed_patches(self.encoder, images)
            for block in self.encoder.blocks[: self.frozen_blocks]:
                tokens = block(tokens)
        for block in self.encoder.blocks[self.frozen_blocks :]:
            tokens = block(tokens)
        return self.encoder.norm(tokens)[:, 0]

    def _front(self) -> list[nn.Module]:
        vit = self.encoder
        return [vit.patch_embed, vit.norm_pre, *vit.blocks[: self.frozen_blocks]]
