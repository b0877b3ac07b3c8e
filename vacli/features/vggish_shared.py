"""VGGish on windows that overlap: one pass over the spectrogram, exact window edges.

A window's feature maps differ from those of the whole spectrogram only near its two ends, where
the zero padding of each convolution reaches in: 1, 2, 2, 3, 3, 4 columns at the six convolutions.
Everything else is shared by all windows that begin on the same phase of the pooling strides. Near
the ends the difference to the shared map is what is convolved, so that only the taps that see a
difference are multiplied; the outermost column has no shared counterpart and is computed whole.
The trailing end is the leading one with time reversed.

Each convolution is a sum over three time taps of convolutions along the bands, and those run as
Winograd's F(4, 3) (Lavin and Gray 2016, arXiv 1509.09308): 6 products for 4 outputs instead of 12.
All maps are laid out (..., time, band, channel).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vacli.features.vggish_net import FRAMES, VggishNet

_G = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
POINTS, TILE = 6, 4
MARGIN = 16  # frames that the pooled maps may lose at the end of the spectrogram


def spread(maps: Tensor) -> Tensor:
    """Winograd's input transform along the bands.

    maps: (N, T, B, C), B a multiple of 4. Returns: (6, N, B / 4, T, C): a row's time neighbours lie
    side by side, so that taps are concatenated by a view.
    """
    count, time, bands, width = maps.shape
    padded = F.pad(maps, (0, 0, 1, 1))
    d = [padded[:, :, j : j + bands - 3 : TILE].transpose(1, 2) for j in range(POINTS)]
    out = maps.new_empty(POINTS, count, bands // TILE, time, width)
    even, odd = torch.sub(d[4], d[2], alpha=4), torch.sub(d[3], d[1], alpha=4)
    torch.add(even, odd, out=out[1])
    torch.sub(even, odd, out=out[2])
    even, odd = d[4] - d[2], d[3] - d[1]
    torch.add(even, odd, alpha=2, out=out[3])
    torch.sub(even, odd, alpha=2, out=out[4])
    torch.sub(torch.add(even, d[0], alpha=4), d[2], alpha=4, out=out[0])
    torch.sub(torch.sub(d[5], d[3]), odd, alpha=4, out=out[5])
    return out


def gather_bands(products: Tensor) -> Tensor:
    """Winograd's output transform: (6, ..., tiles, C) -> (..., 4 * tiles, C)."""
    sum12, dif12 = products[1] + products[2], products[1] - products[2]
    sum34, dif34 = products[3] + products[4], products[3] - products[4]
    out = products.new_empty(*sum12.shape[:-1], TILE, sum12.shape[-1])
    torch.add(products[0] + sum12, sum34, out=out[..., 0, :])
    torch.add(dif12, dif34, alpha=2, out=out[..., 1, :])
    torch.add(sum12, sum34, alpha=4, out=out[..., 2, :])
    torch.add(dif12 + products[5], dif34, alpha=8, out=out[..., 3, :])
    return out.flatten(-3, -2)


class TapConv:
    """A 3 x 3 convolution as products of single time taps; no bias."""

    def __init__(self, conv: nn.Conv2d, mirrored: bool = False) -> None:
        weight = conv.weight.detach().flip(2) if mirrored else conv.weight.detach()
        matrix = torch.tensor(_G, dtype=weight.dtype, device=weight.device)
        taps = torch.einsum("pf,octf->ptco", matrix, weight)
        self.taps = taps.flatten(1, 2).contiguous()  # (6, 3 * C, out)
        self.width = weight.shape[1]

    def columns(self, rows: Tensor, first: int, count: int, tap: int) -> Tensor:
        """One output column from `count` neighbouring input columns, the first under tap `tap`.

        rows: as `spread` gives them. Returns: (N, B, out).
        """
        points, items, tiles, _, width = rows.shape
        seen = rows[:, :, :, first : first + count].reshape(points, items * tiles, count * width)
        products = torch.bmm(seen, self.taps[:, tap * width : (tap + count) * width])
        return gather_bands(products.view(points, items, tiles, -1))

    def dense(self, maps: Tensor) -> Tensor:
        """All columns of maps (P, T, B, C); the first and last column see no true neighbour."""
        points, width = POINTS, self.width
        rows = spread(maps)
        flat = rows.view(points, -1, width)
        products = flat.new_zeros(points, flat.shape[1], self.taps.shape[-1])
        inner = torch.bmm(flat[:, :-2], self.taps[:, :width])
        inner.baddbmm_(flat[:, 1:-1], self.taps[:, width : 2 * width])
        inner.baddbmm_(flat[:, 2:], self.taps[:, 2 * width :])
        products[:, 1:-1] = inner
        shaped = products.view(points, *rows.shape[1:4], -1)  # (6, P, tiles, T, out)
        return gather_bands(shaped.transpose(2, 3))


@dataclass(frozen=True)
class Side:
    """One end of the windows: the column `c` steps from it, and the convolutions seen from there."""

    mirrored: bool
    first: Tensor  # weights of the first convolution, (64, 1, 3, 3)
    convs: tuple[TapConv, ...]

    @classmethod
    def of(cls, net: VggishNet, mirrored: bool) -> Side:
        first, *others = net.convolutions()
        weight = first.weight.detach()
        convs = tuple(TapConv(conv, mirrored) for conv in others)
        return cls(mirrored, weight.flip(2) if mirrored else weight, convs)


class Level:
    """The shared maps at one pooling stride, a row for each phase that some window begins on."""

    def __init__(self, starts: Tensor, stride: int) -> None:
        self.starts, self.stride = starts, stride
        self.phases, self.row = torch.unique(starts % stride, return_inverse=True)
        self.begin, self.length = starts // stride, FRAMES // stride

    def take(self, maps: Tensor, side: Side, first: int, count: int) -> Tensor:
        """Columns `first`, `first + 1`, ... from the end of each window: (N, count, B, C)."""
        steps = torch.arange(first, first + count, device=maps.device)
        columns = self.begin[:, None] + (self.length - 1 - steps if side.mirrored else steps)
        return maps[self.row[:, None], columns]

    def pooled(self, maps: Tensor, bias: Tensor) -> tuple[Level, Tensor]:
        """The next level, whose windows begin on twice as many phases, and its activations."""
        level = Level(self.starts, 2 * self.stride)
        count = (maps.shape[1] - 1) // 2
        rows = []
        for phase in level.phases.tolist():
            odd, phase = divmod(phase, self.stride)
            row = int(torch.searchsorted(self.phases, phase))
            rows.append(maps[row : row + 1, odd : odd + 2 * count])
        return level, pool(torch.cat(rows), bias)


def pool(maps: Tensor, bias: Tensor) -> Tensor:
    """2 x 2 maximum, bias and ReLU (the three commute): (N, T, B, C) -> (N, T / 2, B / 2, C)."""
    return F.max_pool2d(maps.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1).add(bias).relu_()


def _convolve(spectra: Tensor, weight: Tensor) -> Tensor:
    """The first convolution: (N, T, 64) -> (N, T, 64, 64 channels), no bias."""
    maps = F.conv2d(spectra[:, None], weight, padding=1)
    return maps.permute(0, 2, 3, 1).contiguous()


def _first_edge(spectrum: Tensor, level: Level, side: Side) -> Tensor:
    """The outermost column of the first convolution of each window: (N, 1, 64, 64 channels)."""
    ends = level.take(spectrum, side, 0, 2)[..., 0]
    return _convolve(ends, side.first)[:, :1]


def close(level: Level, side: Side, maps: Tensor, edge: Tensor, bias: Tensor, pooled: bool) -> Tensor:
    """Bias, ReLU and, if `pooled`, pooling of edge columns, with a shared one where their number is odd."""
    if not pooled:
        return edge.add(bias).relu_()
    if edge.shape[1] % 2:
        edge = torch.cat([edge, level.take(maps, side, edge.shape[1], 1)], dim=1)
    return pool(edge, bias)


def grow(conv: TapConv, level: Level, side: Side, shared: tuple[Tensor, Tensor], edge: Tensor) -> Tensor:
    """The columns of a convolution's output that the end of the window has reached.

    shared: the convolution's shared input and output maps. edge: (N, n, B, C), the true input
    columns that differ from the shared ones. Returns: (N, n + 1, B, out).
    """
    inputs, outputs = shared
    reached = edge.shape[1]
    known = level.take(inputs, side, 0, max(reached, 2))
    ends = spread(edge[:, :2] if reached > 1 else torch.cat([edge, known[:, 1:]], dim=1))
    columns = [conv.columns(ends, 0, 2, tap=1)]
    changes = spread(edge - known[:, :reached])
    base = level.take(outputs, side, 1, reached)
    for column in range(reached):
        seen = min(reached - column, 3)
        columns.append(conv.columns(changes, column, seen, tap=0).add_(base[:, column]))
    return torch.stack(columns, dim=1)


class SharedFeatures:
    """The convolutional part of VGGish on overlapping windows of one spectrogram."""

    def __init__(self, net: VggishNet) -> None:
        self.biases = [conv.bias.detach() for conv in net.convolutions()]
        self.sides = (Side.of(net, mirrored=False), Side.of(net, mirrored=True))
        self.pooled = (True, True, False, True, False)  # after each convolution but the last

    def __call__(self, spectrum: Tensor, starts: Tensor) -> Tensor:
        """What the fully connected layers read.

        spectrum: (T, 64). starts: (N,) first frames, 0 <= start <= T - 96 - MARGIN.
        Returns: (N, 12288), in the order of VggishNet.forward.
        """
        level = Level(starts, 1)
        maps = _convolve(spectrum[None], self.sides[0].first)
        edges = [_first_edge(spectrum[None, :, :, None], level, side) for side in self.sides]
        for step, pooled in enumerate(self.pooled):
            bias = self.biases[step]
            edges = [close(level, s, maps, e, bias, pooled) for s, e in zip(self.sides, edges, strict=True)]
            level, inputs = level.pooled(maps, bias) if pooled else (level, maps.add_(bias).relu_())
            maps = self.sides[0].convs[step].dense(inputs)
            edges = [
                grow(s.convs[step], level, s, (inputs, maps), e)
                for s, e in zip(self.sides, edges, strict=True)
            ]
        leading, trailing = (pool(edge, self.biases[-1]) for edge in edges)
        middle = pool(level.take(maps, self.sides[0], 4, 4), self.biases[-1])
        return torch.cat([leading, middle, trailing.flip(1)], dim=1).flatten(1)
