"""A vision transformer's class token without gradients, at the rate of the machine's matrix products.

Exact in what it leaves out: after the last block's keys and values only the class token's row is
needed, so queries, projection and MLP of that block are computed for it alone. On a CPU the weights
are packed once into oneDNN's blocked layout, and GELU and residual sums are fused into the products.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Product:
    """x @ weight.T + bias with packed weights where the machine has them."""

    def __init__(self, layer: nn.Linear, dtype: torch.dtype, rows: int) -> None:
        self.weight = layer.weight.detach().to(dtype)
        self.bias = None if layer.bias is None else layer.bias.detach().to(dtype)
        self.packed = can_pack(self.weight)
        if self.packed:
            self.weight = torch.ops.mkldnn._reorder_linear_weight(self.weight.contiguous(), rows)

    def __call__(self, x: Tensor) -> Tensor:
        if self.packed:
            return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "none")
        return F.linear(x, self.weight, self.bias)

    def gelu(self, x: Tensor) -> Tensor:
        """GELU (the exact one) of the product."""
        if self.packed:
            return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "gelu", [], "none")
        return F.gelu(self(x))

    def plus(self, x: Tensor, residual: Tensor) -> Tensor:
        """The product plus `residual`."""
        if self.packed:
            return torch.ops.mkldnn._linear_pointwise.binary(x, residual, self.weight, self.bias, "add")
        return residual + self(x)


def can_pack(weight: Tensor) -> bool:
    """Whether oneDNN can keep this matrix packed and fuse what follows it."""
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    if weight.dtype not in (torch.float32, torch.bfloat16):
        return False
    try:
        torch.ops.mkldnn._reorder_linear_weight(weight[:16, :16].contiguous(), 16)
        return torch.ops.mkldnn._linear_pointwise.binary is not None
    except (AttributeError, RuntimeError):
        return False


def is_plain(vit: nn.Module) -> bool:
    """Whether every block is norm, attention, norm, MLP and nothing else, as in MAE."""
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

    Keeps its own copies of the weights in `dtype`. `rows_hint` is the number of images a call will
    usually have; packing suits it but is right for any.
    """

    def __init__(self, vit: nn.Module, dtype: torch.dtype, rows_hint: int = 16) -> None:
        self.dtype = dtype
        vit = vit.eval()
        patch = vit.patch_embed.proj
        tokens = vit.pos_embed.shape[1]
        self.patch_px = patch.kernel_size[0]
        flat = nn.Linear(patch.weight[0].numel(), patch.out_channels, device="meta")
        flat.weight = nn.Parameter(patch.weight.detach().flatten(1), requires_grad=False)
        flat.bias = patch.bias
        self.patch = Product(flat, dtype, rows_hint * tokens)
        prefix = vit.num_prefix_tokens
        positions = vit.pos_embed.detach()
        kept = [vit.cls_token] if vit.reg_token is None else [vit.cls_token, vit.reg_token]
        start = torch.cat([part.detach() for part in kept], dim=1)
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
    """A layer norm with weights in the working dtype; nothing at all for an identity."""

    def __init__(self, layer: nn.LayerNorm, dtype: torch.dtype) -> None:
        self.weight, self.bias = layer.weight.detach().to(dtype), layer.bias.detach().to(dtype)
        self.shape, self.eps = layer.normalized_shape, layer.eps

    def __call__(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.shape, self.weight, self.bias, self.eps)


def _norm(layer: nn.Module, dtype: torch.dtype) -> Norm | nn.Identity:
    return layer if isinstance(layer, nn.Identity) else Norm(layer, dtype)


class Block:
    """One pre-norm block: attention and MLP, each around a residual."""

    def __init__(self, block: nn.Module, dtype: torch.dtype, rows: int) -> None:
        self.heads = block.attn.num_heads
        self.norm1, self.norm2 = _norm(block.norm1, dtype), _norm(block.norm2, dtype)
        self.qkv = Product(block.attn.qkv, dtype, rows)
        self.out = Product(block.attn.proj, dtype, rows)
        self.up, self.down = Product(block.mlp.fc1, dtype, rows), Product(block.mlp.fc2, dtype, rows)

    def __call__(self, x: Tensor) -> Tensor:
        """Tokens (N, T, D) -> (N, T, D)."""
        query, key, value = self._attention_inputs(x)
        return self._after(F.scaled_dot_product_attention(query, key, value), x)

    def first_token(self, x: Tensor) -> Tensor:
        """Tokens (N, T, D) -> (N, D): what this block makes of the first token."""
        query, key, value = self._attention_inputs(x)
        seen = F.scaled_dot_product_attention(query[:, :, :1], key, value)
        return self._after(seen, x[:, :1].contiguous())[:, 0]

    def _attention_inputs(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        count, tokens, width = x.shape
        joint = self.qkv(self.norm1(x)).view(count, tokens, 3, self.heads, width // self.heads)
        query, key, value = joint.permute(2, 0, 3, 1, 4).unbind(0)
        return query, key, value

    def _after(self, seen: Tensor, x: Tensor) -> Tensor:
        x = self.out.plus(seen.transpose(1, 2).reshape(x.shape), x)
        return self.down.plus(self.up.gelu(self.norm2(x)), x)
