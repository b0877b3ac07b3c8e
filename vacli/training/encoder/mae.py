"""A masked autoencoder around a vision transformer (He et al. 2022, arXiv 2111.06377)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from vacli.features.backbones.vit import add_positions, sincos_positions

if TYPE_CHECKING:
    from timm.models.vision_transformer import VisionTransformer

MASK_RATIO = 0.75
DECODER_WIDTH, DECODER_DEPTH, DECODER_HEADS = 512, 8, 16  # of the paper's default, table 1


class MaskedAutoencoder(nn.Module):
    """Encode a quarter of the patches, reconstruct the pixels of the others.

    The target of a patch is its pixels, normalised with the patch's mean and variance. The loss is the
    squared error over masked patches only. The decoder is not wider than the encoder.
    """

    decoder_positions: Tensor

    def __init__(
        self,
        encoder: VisionTransformer,
        width: int | None = None,
        depth: int = DECODER_DEPTH,
        mask_ratio: float = MASK_RATIO,
    ) -> None:
        super().__init__()
        from timm.models.vision_transformer import Block

        self.encoder = encoder
        self.mask_ratio = mask_ratio
        self.patch_px = encoder.patch_embed.patch_size[0]
        width = width or min(DECODER_WIDTH, encoder.embed_dim)
        heads = max(1, min(DECODER_HEADS, width // 32))
        self.decoder_embed = nn.Linear(encoder.embed_dim, width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        nn.init.normal_(self.mask_token, std=0.02)
        positions = sincos_positions(width, encoder.patch_embed.grid_size[0])
        self.register_buffer("decoder_positions", positions[None], persistent=False)
        self.decoder_blocks = nn.Sequential(*(Block(width, heads, qkv_bias=True) for _ in range(depth)))
        self.decoder_norm = nn.LayerNorm(width, eps=1e-6)
        self.decoder_pixels = nn.Linear(width, self.patch_px**2 * 3)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images (N, 3, H, W) -> the loss, ()."""
        kept, masked = self.random_masking(len(images), images.device)
        preds = self.reconstruct(self.encode(images, kept), kept)
        error = (preds - self.target(images)).square().mean(-1)
        return error.gather(1, masked).mean()

    def random_masking(self, count: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Indices (count, K) of kept and (count, P - K) of masked patches, in random order."""
        patches = self.encoder.patch_embed.num_patches
        order = torch.rand(count, patches, device=device).argsort(dim=1)
        n_kept = round(patches * (1 - self.mask_ratio))
        return order[:, :n_kept], order[:, n_kept:]

    def encode(self, images: Tensor, kept: Tensor) -> Tensor:
        """Images (N, 3, H, W) and kept patches (N, K) -> tokens (N, prefix + K, D)."""
        vit = self.encoder
        prefix = vit.num_prefix_tokens
        tokens = add_positions(vit, vit.patch_embed(images))
        kept_tokens = tokens[:, prefix:].gather(1, kept[..., None].expand(-1, -1, tokens.shape[-1]))
        return vit.norm(vit.blocks(vit.norm_pre(torch.cat([tokens[:, :prefix], kept_tokens], dim=1))))

    def reconstruct(self, tokens: Tensor, kept: Tensor) -> Tensor:
        """Tokens of the kept patches -> normalised pixels of all patches (N, P, px^2 * 3)."""
        prefix = self.encoder.num_prefix_tokens
        embedded = self.decoder_embed(tokens)
        whole = self.mask_token.to(embedded.dtype).expand(len(embedded), self.decoder_positions.shape[1], -1)
        place = kept[..., None].expand(-1, -1, embedded.shape[-1])
        whole = whole.scatter(1, place, embedded[:, prefix:]) + self.decoder_positions
        whole = self.decoder_blocks(torch.cat([embedded[:, :prefix], whole], dim=1))
        return self.decoder_pixels(self.decoder_norm(whole[:, prefix:])).float()

    def target(self, images: Tensor) -> Tensor:
        """Pixels by patch, each patch of zero mean and unit variance: (N, P, px^2 * 3)."""
        count, channels, height, width = images.shape
        side = self.patch_px
        cut = images.reshape(count, channels, height // side, side, width // side, side)
        patches = cut.permute(0, 2, 4, 3, 5, 1).reshape(count, -1, side * side * channels).float()
        variance, mean = torch.var_mean(patches, dim=-1, keepdim=True)
        return (patches - mean) / (variance + 1e-6).sqrt()
