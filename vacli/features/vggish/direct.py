"""A 3 x 3 convolution as products of bfloat16 numbers, on processors with units for them.

They are so fast there that the sums of Winograd's scheme take longer than the products that it saves.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DirectConv:
    """The interface of `shared.TapConv` without Winograd's scheme; weights and maps in `dtype`."""

    def __init__(self, conv: nn.Conv2d, mirrored: bool, dtype: torch.dtype) -> None:
        weight = conv.weight.detach().flip(2) if mirrored else conv.weight.detach()
        weight = weight.to(dtype)
        self.taps = weight.permute(2, 3, 1, 0).flatten(0, 2).contiguous()  # (3 times x 3 bands x C, out)
        self.weight = weight.contiguous(memory_format=torch.channels_last)
        self.out_channels = len(weight)

    def rows(self, maps: Tensor) -> Tensor:
        """Each band beside its two neighbours: (N, T, B, C) -> (N, B, T, 3 C)."""
        count, times, bands, width = maps.shape
        out = maps.new_zeros(count, bands, times, 3, width)
        columns = maps.transpose(1, 2)
        out[:, 1:, :, 0] = columns[:, :-1]
        out[:, :, :, 1] = columns
        out[:, :-1, :, 2] = columns[:, 1:]
        return out.flatten(3)

    def columns(self, rows: Tensor, first: int, count: int, tap: int) -> Tensor:
        """As `TapConv.columns`. rows: as `rows` gives them. Returns: (N, B, out)."""
        items, bands, _, width = rows.shape
        seen = rows[:, :, first : first + count].reshape(items * bands, count * width)
        return (seen @ self.taps[tap * width : (tap + count) * width]).view(items, bands, -1)

    def write(
        self, products: Tensor, out: Tensor, column: int, base: Tensor | None = None, base_column: int = 0
    ) -> None:
        """Write products to out[:, column], plus that column of `base`."""
        out[:, column] = products if base is None else products + base[:, base_column]

    def dense(self, maps: Tensor) -> Tensor:
        """As `TapConv.dense`: all columns of maps (P, T, B, C); the first and the last one are not valid."""
        return F.conv2d(maps.permute(0, 3, 1, 2), self.weight, padding=1).permute(0, 2, 3, 1).contiguous()
