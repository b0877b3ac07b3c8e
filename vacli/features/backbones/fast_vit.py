"""The class token of a vision transformer, for inference, near the speed of the matrix products.

Nothing is approximated: the last block's output is needed for the class token only, so its queries,
projection and MLP are computed for that row only. On a CPU the weights are packed once into oneDNN's
blocked layout, and GELU and residual sums are fused into the products.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vacli.features.backbones.packed_linear import PackedLinear
from vacli.features.backbones.vit import position_embedding, prefix_tokens

if TYPE_CHECKING:
    from timm.models.vision_transformer import VisionTransformer


def is_plain(vit: VisionTransformer) -> bool:
    """Whether every block consists of norm, attention, norm and MLP only, as in MAE."""
    return all(_plain_block(block) for block in vit.blocks)


def _plain_block(block: nn.Module) -> bool:
    attention, mlp = getattr(block, "attn", None), getattr(block, "mlp", None)
    if attention is None or mlp is None or getattr(attention, "gate", None) is not None:
        return False
    inert = [getattr(attention, name, None) for name in ("q_norm", "k_norm", "norm")]
    inert += [getattr(block, "ls1", None), getattr(block, "ls2", None), getattr(mlp, "norm", None)]
    gelu = isinstance(getattr(mlp, "act", None), nn.GELU) and mlp.act.approximate == "none"
    return gelu and all(isinstance(module, nn.Identity) for module in inert)


class FastVit:
    """The class token after the final norm of a plain timm vision transformer.

    Keeps its own copies of the weights in `dtype`. `rows_hint` is the usual number of images in a call;
    the results do not depend on it.
    """

    def __init__(self, vit: VisionTransformer, dtype: torch.dtype, rows_hint: int = 16) -> None:
        self.dtype = dtype
        vit = vit.eval()
        patch = vit.patch_embed.proj
        positions = position_embedding(vit).detach()
        tokens = positions.shape[1]
        self.patch_px = patch.kernel_size[0]
        flat = nn.Linear(patch.weight[0].numel(), patch.out_channels, device="meta")
        flat.weight = nn.Parameter(patch.weight.detach().flatten(1), requires_grad=False)
        flat.bias = patch.bias
        self.patch = PackedLinear(flat, dtype, rows_hint * tokens)
        prefix = vit.num_prefix_tokens
        start = torch.cat([token.detach() for token in prefix_tokens(vit)], dim=1)
        if vit.no_embed_class:
            self.start, self.positions = start.to(dtype), positions.to(dtype)
        else:
            self.start = (start + positions[:, :prefix]).to(dtype)
            self.positions = positions[:, prefix:].to(dtype)
        self.norm_pre = _norm(vit.norm_pre, dtype)
        self.blocks = [Block(block, dtype, rows_hint * tokens) for block in vit.blocks]
        self.norm = _norm(vit.norm, dtype)

    def __call__(self, images: Tensor) -> Tensor:
        """Normalised images (N, 3, H, W) -> (N, D) in float32."""
        tokens = self.norm_pre(self._embed(images.to(self.dtype)))
        for block in self.blocks[:-1]:
            tokens = block(tokens)
        return self.norm(self.blocks[-1].first_token(tokens)).float()

    def _embed(self, images: Tensor) -> Tensor:
        count, channels, height, width = images.shape
        side = self.patch_px
        cut = images.reshape(count, channels, height // side, side, width // side, side)
        flat = cut.permute(0, 2, 4, 1, 3, 5).reshape(count, -1, channels * side * side)
        patches = self.patch(flat) + self.positions
        return torch.cat([self.start.expand(count, -1, -1), patches], dim=1)


class Norm:
    """A layer norm with weights in the working dtype."""

    def __init__(self, layer: nn.LayerNorm, dtype: torch.dtype) -> None:
        self.weight, self.bias = layer.weight.detach().to(dtype), layer.bias.detach().to(dtype)
        self.shape, self.eps = layer.normalized_shape, layer.eps

    def __call__(self, x: Tensor) -> Tensor:
        """The normalized tokens, of the shape of `x`."""
        return F.layer_norm(x, self.shape, self.weight, self.bias, self.eps)


def _norm(layer: nn.Module, dtype: torch.dtype) -> Norm | nn.Identity:
    return layer if isinstance(layer, nn.Identity) else Norm(cast(nn.LayerNorm, layer), dtype)


class Block:
    """One pre-norm block: attention and MLP, each around a residual."""

    def __init__(self, block: Any, dtype: torch.dtype, rows: int) -> None:
        self.heads = block.attn.num_heads
        self.norm1, self.norm2 = _norm(block.norm1, dtype), _norm(block.norm2, dtype)
        self.qkv = PackedLinear(block.attn.qkv, dtype, rows)
        self.out = PackedLinear(block.attn.proj, dtype, rows)
        self.up, self.down = (
            PackedLinear(block.mlp.fc1, dtype, rows),
            PackedLinear(block.mlp.fc2, dtype, rows),
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Tokens (N, T, D) -> (N, T, D)."""
        query, key, value = self._attention_inputs(x)
        return self._after(F.scaled_dot_product_attention(query, key, value), x)

    def first_token(self, x: Tensor) -> Tensor:
        """Tokens (N, T, D) -> (N, D): the output for the first token."""
        query, key, value = self._attention_inputs(x)
        seen = F.scaled_dot_product_attention(query[:, :, :1], key, value)
        return self._after(seen, x[:, :1].contiguous())[:, 0]

    def _attention_inputs(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        count, tokens, width = x.shape
        joint = self.qkv(self.norm1(x)).view(count, tokens, 3, self.heads, width // self.heads)
        query, key, value = joint.permute(2, 0, 3, 1, 4).unbind(0)
        return query, key, value

    def _after(self, seen: Tensor, x: Tensor) -> Tensor:
        x = self.out.add(seen.transpose(1, 2).reshape(x.shape), x)
        return self.down.add(self.up.gelu(self.norm2(x)), x)
