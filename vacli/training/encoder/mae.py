"""A masked autoencoder around a vision transformer (He et al. 2022, arXiv 2111.06377)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vacli.features.backbones.vit import sincos_positions

MASKED = 0.75
DECODER_WIDTH, DECODER_DEPTH, DECODER_HEADS = 512, 8, 16  # of the paper's default, table 1


class MaskedAutoencoder(nn.Module):
    """Encode a quarter of the patches, reconstruct the pixels of the others.

    The target of a patch is its pixels, normalised by the patch's own mean and variance; the loss is
    the squared error over masked patches alone. A decoder is no wider than the encoder.
    """

    def __init__(
        self, encoder: nn.Module, width: int | None = None, depth: int = DECODER_DEPTH, masked: float = MASKED
    ) -> None:
        super().__init__()
        from timm.models.vision_transformer import Block

        self.encoder = encoder
        self.masked = masked
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
        kept, hidden = self.draw(len(images), images.device)
        predicted = self.reconstruct(self.encode(images, kept), kept)
        error = (predicted - self.target(images)).square().mean(-1)
        return error.gather(1, hidden).mean()

    def draw(self, count: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Which patches are seen and which are masked, per image, in random order."""
        patches = self.encoder.patch_embed.num_patches
        order = torch.rand(count, patches, device=device).argsort(dim=1)
        seen = round(patches * (1 - self.masked))
        return order[:, :seen], order[:, seen:]

    def encode(self, images: Tensor, kept: Tensor) -> Tensor:
        """(N, 3, H, W) and the patches to see (N, K) -> tokens (N, prefix + K, D)."""
        vit = self.encoder
        prefix = vit.num_prefix_tokens
        tokens = vit._pos_embed(vit.patch_embed(images))
        seen = tokens[:, prefix:].gather(1, kept[..., None].expand(-1, -1, tokens.shape[-1]))
        return vit.norm(vit.blocks(vit.norm_pre(torch.cat([tokens[:, :prefix], seen], dim=1))))

    def reconstruct(self, tokens: Tensor, kept: Tensor) -> Tensor:
        """Tokens of the seen patches -> normalised pixels of all patches (N, P, px^2 * 3)."""
        prefix = self.encoder.num_prefix_tokens
        known = self.decoder_embed(tokens)
        whole = self.mask_token.to(known.dtype).expand(len(known), self.decoder_positions.shape[1], -1)
        place = kept[..., None].expand(-1, -1, known.shape[-1])
        whole = whole.scatter(1, place, known[:, prefix:]) + self.decoder_positions
        whole = self.decoder_blocks(torch.cat([known[:, :prefix], whole], dim=1))
        return self.decoder_pixels(self.decoder_norm(whole[:, prefix:])).float()

    def target(self, images: Tensor) -> Tensor:
        """Pixels by patch, each patch of zero mean and unit variance: (N, P, px^2 * 3)."""
        count, channels, height, width = images.shape
        side = self.patch_px
        cut = images.reshape(count, channels, height // side, side, width // side, side)
        patches = cut.permute(0, 2, 4, 3, 5, 1).reshape(count, -1, side * side * channels).float()
        variance, mean = torch.var_mean(patches, dim=-1, keepdim=True)
        return (patches - mean) / (variance + 1e-6).sqrt()
