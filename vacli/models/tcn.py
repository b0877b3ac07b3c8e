"""Temporal convolutional network (Bai, Kolter and Koltun 2018, arXiv 1803.01271, section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from vacli.models import shifted_products
from vacli.models.base import Slots, TemporalModule, select
from vacli.models.dropout import Dropout
from vacli.models.heads import ACTIVATIONS, is_whole, zero_padding
from vacli.recipe import schema as recipe


@dataclass(frozen=True)
class ConvState:
    """The past of a convolution, for one more frame."""

    past: Tensor  # (B, C, total_padding): the frames that the next output depends on
    weight: Tensor  # (C', C x kernel), normalised once: that costs more than a step

    def select(self, slots: Slots) -> ConvState:
        """The state of other recordings, see `base.select`."""
        return ConvState(select(self.past, slots), self.weight)


BlockState = tuple[ConvState, ConvState]


class DilatedConv(nn.Module):
    """Weight-normalised convolution that keeps the length; causal, or centred on its frame."""

    def __init__(self, channels: tuple[int, int], kernel: int, dilation: int, *, causal: bool) -> None:
        super().__init__()
        self.conv = weight_norm(nn.Conv1d(*channels, kernel, dilation=dilation))
        self.dilation = dilation
        total = self.total_padding = (
            kernel - 1
        ) * dilation  # frames beside its own that an output depends on
        self.padding = (total, 0) if causal else (total // 2, total // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) -> (B, C', T)."""
        if not shifted_products.is_faster(x, self.conv.out_channels):
            return self.conv(F.pad(x, self.padding))
        rows = F.pad(x.transpose(1, 2), (0, 0, *self.padding))
        bias = cast(Tensor, self.conv.bias)
        return shifted_products.convolve(rows, self.conv.weight, bias, self.dilation).transpose(1, 2)

    def initial_state(self, batch: int) -> ConvState:
        """Zeros before the first frame."""
        weight = self.conv.weight.flatten(1)
        return ConvState(weight.new_zeros(batch, self.conv.in_channels, self.total_padding), weight)

    def step(self, x: Tensor, state: ConvState) -> tuple[Tensor, ConvState]:
        """One frame (B, C) after the last `total_padding` frames."""
        window = torch.cat([state.past, x.unsqueeze(-1)], dim=-1)
        taps = window[..., :: self.dilation].flatten(1)
        y = F.linear(taps, state.weight, self.conv.bias)
        return y, ConvState(window[..., 1:], state.weight)


def _filled(x: Tensor, padded: Tensor | None) -> Tensor:
    return x if padded is None else x.masked_fill(padded, 0.0)


class Block(nn.Module):
    """Two dilated convolutions, each with activation and dropout, and a residual path."""

    def __init__(self, channels: tuple[int, int], dilation: int, config: recipe.Tcn) -> None:
        super().__init__()
        in_channels, out_channels = channels
        self.conv1 = DilatedConv((in_channels, out_channels), config.kernel, dilation, causal=config.causal)
        self.conv2 = DilatedConv((out_channels, out_channels), config.kernel, dilation, causal=config.causal)
        self.act1, self.act2, self.act = (ACTIVATIONS[config.activation]() for _ in range(3))
        self.dropout = Dropout(config.dropout)
        self.residual = (
            nn.Conv1d(in_channels, out_channels, 1) if in_channels != out_channels else nn.Identity()
        )

    def forward(self, x: Tensor, padded: Tensor | None) -> Tensor:
        """(B, C, T), `padded` (B, 1, T) or None -> (B, C', T); both convolutions see zeros on padding."""
        y = _filled(self.dropout.after(self.act1, self.conv1(x)), padded)
        y = self.dropout.after(self.act2, self.conv2(y))
        return _filled(self.act(y + self._residual(x)), padded)

    def _residual(self, x: Tensor) -> Tensor:
        """The residual path of (B, C, T); a convolution of one tap is a product, which is faster on a CPU."""
        if not isinstance(self.residual, nn.Conv1d):
            return x
        weight, bias = self.residual.weight.squeeze(-1), self.residual.bias
        return F.linear(x.transpose(1, 2), weight, bias).transpose(1, 2)

    def initial_state(self, batch: int) -> BlockState:
        """The states of the two convolutions before the first frame."""
        return self.conv1.initial_state(batch), self.conv2.initial_state(batch)

    def step(self, x: Tensor, state: BlockState) -> tuple[Tensor, BlockState]:
        """One frame (B, C) and the states before it -> the output (B, C) and the states after it."""
        y, after1 = self.conv1.step(x, state[0])
        y, after2 = self.conv2.step(self.act1(y), state[1])
        if isinstance(self.residual, nn.Conv1d):
            x = F.linear(x, self.residual.weight.squeeze(-1), self.residual.bias)
        return self.act(self.act2(y) + x), (after1, after2)


class Tcn(TemporalModule):
    """A stack of blocks, block i with dilation 2^i and `channels[i]` channels."""

    def __init__(self, in_dim: int, config: recipe.Tcn) -> None:
        super().__init__()
        widths = (in_dim, *config.channels)
        pairs = list(pairwise(widths))
        self.blocks = nn.ModuleList(Block(pair, 2**i, config) for i, pair in enumerate(pairs))
        self.in_dim, self.out_dim = in_dim, widths[-1]
        self.causal = config.causal
        self.receptive_field = 1 + 2 * (config.kernel - 1) * (2 ** len(pairs) - 1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Frames (B, T, D) and a mask (B, T), True for real frames -> (B, T, C)."""
        padded = None if is_whole(mask) else ~mask.unsqueeze(1)
        y = zero_padding(x, mask).transpose(1, 2)
        for block in self.blocks:
            y = block(y, padded)
        return y.transpose(1, 2)

    def initial_state(self, batch: int) -> tuple[BlockState, ...]:
        """The states of all blocks before the first frame."""
        return tuple(cast(Block, block).initial_state(batch) for block in self.blocks)

    def step(self, x: Tensor, state: tuple[BlockState, ...]) -> tuple[Tensor, tuple[BlockState, ...]]:
        """One frame (B, D) and the states before it -> the output (B, C) and the states after it."""
        after = []
        for block, past in zip(self.blocks, state, strict=True):
            x, past = cast(Block, block).step(x, past)
            after.append(past)
        return x, tuple(after)
