"""VGGish on overlapping windows: one pass over the spectrogram, exact at the window edges.

A window's feature maps differ from those of the whole spectrogram only near its two ends, where
the zero padding of each convolution reaches in: 1, 2, 2, 3, 3, 4 columns at the six convolutions.
Everything else is shared by all windows that begin on the same phase of the pooling strides. Near
the ends the difference to the shared map is convolved, so only the taps with a difference are
multiplied; the outermost column has no shared counterpart and is computed whole.
The trailing end is the leading one with time reversed.

Each convolution is a sum over three time taps of convolutions along the bands, and those run as
Winograd's F(4, 3): 6 products for 4 outputs instead of 12. In bfloat16 the products are direct.
All maps are laid out (..., time, band, channel).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vacli.features.vggish.direct import DirectConv
from vacli.features.vggish.network import FRAMES, VggishNet
from vacli.features.vggish.winograd import FILTER, POINTS, input_transform, output_transform

MARGIN = 16  # frames that pooling may drop at the end of the spectrogram


class TapConv:
    """A 3 x 3 convolution as products of single time taps; no bias."""

    def __init__(self, conv: nn.Conv2d, mirrored: bool = False) -> None:
        weight = conv.weight.detach().flip(2) if mirrored else conv.weight.detach()
        matrix = torch.tensor(FILTER, dtype=weight.dtype)
        self.taps = torch.einsum("pf,octf->ptco", matrix, weight).flatten(1, 2).contiguous()  # (6, 3 C, out)
        self.out_channels, self.width = weight.shape[:2]

    def rows(self, maps: Tensor) -> Tensor:
        """The input transform of maps (N, T, B, C)."""
        return input_transform(maps)

    def write(
        self, products: Tensor, out: Tensor, column: int, base: Tensor | None = None, base_column: int = 0
    ) -> None:
        """The output transform of products, written to out[:, column], plus that column of `base`."""
        output_transform(products, out, column, base, base_column)

    def columns(self, rows: Tensor, first: int, count: int, tap: int) -> Tensor:
        """Products for one output column from `count` neighbouring input columns, the first under `tap`.

        rows: as `rows` gives them. Returns: (6, N, tiles, 1, out).
        """
        points, items, tiles, _, width = rows.shape
        seen = rows[:, :, :, first : first + count].reshape(points, items * tiles, count * width)
        products = torch.bmm(seen, self.taps[:, tap * width : (tap + count) * width])
        return products.view(points, items, tiles, 1, -1)

    def dense(self, maps: Tensor) -> Tensor:
        """All columns of maps (P, T, B, C); the first and the last one are not valid."""
        phases, times, bands, width = maps.shape
        rows = input_transform(maps.view(phases * times, 1, bands, width))  # (6, P * T, tiles, 1, C)
        flat, step = rows.view(POINTS, -1, width), rows.shape[2]
        products = flat.new_zeros(POINTS, flat.shape[1], self.out_channels)
        inner = products[:, step:-step]
        torch.bmm(flat[:, : -2 * step], self.taps[:, :width], out=inner)
        inner.baddbmm_(flat[:, step:-step], self.taps[:, width : 2 * width])
        inner.baddbmm_(flat[:, 2 * step :], self.taps[:, 2 * width :])
        out = maps.new_empty(phases * times, 1, bands, self.out_channels)
        output_transform(products.view(*rows.shape[:4], -1), out, 0)
        return out.view(phases, times, bands, -1)


@dataclass(frozen=True)
class End:
    """One end of the windows (`mirrored`: the trailing one), with the weights in its direction."""

    mirrored: bool
    first: Tensor  # weights of the first convolution, (64, 1, 3, 3)
    convs: tuple[TapConv | DirectConv, ...]

    @classmethod
    def from_network(cls, net: VggishNet, mirrored: bool, dtype: torch.dtype) -> End:
        """The weights of a network, reversed in time if `mirrored`."""
        first, *others = net.convolutions()
        weight = first.weight.detach().to(dtype)
        convs = tuple(
            TapConv(conv, mirrored) if dtype == torch.float32 else DirectConv(conv, mirrored, dtype)
            for conv in others
        )
        return cls(mirrored, weight.flip(2) if mirrored else weight, convs)


class Level:
    """The shared maps at one pooling stride, one row for each phase on which a window begins."""

    def __init__(self, starts: Tensor, stride: int) -> None:
        self.starts, self.stride = starts, stride
        self.phases, self.row = torch.unique(starts % stride, return_inverse=True)
        self.begin, self.length = starts // stride, FRAMES // stride

    def take(self, maps: Tensor, end: End, first: int, count: int) -> Tensor:
        """Columns `first`, `first + 1`, ... from the end of each window: (N, count, B, C)."""
        steps = torch.arange(first, first + count, device=maps.device)
        columns = self.begin[:, None] + (self.length - 1 - steps if end.mirrored else steps)
        return maps[self.row[:, None], columns]

    def pooled(self, maps: Tensor, bias: Tensor) -> tuple[Level, Tensor]:
        """The next level, which has up to twice as many phases, and its activations."""
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


def _first_edge(spectrum: Tensor, level: Level, end: End) -> Tensor:
    """The outermost column of the first convolution of each window: (N, 1, 64, 64 channels)."""
    ends = level.take(spectrum, end, 0, 2)[..., 0]
    return _convolve(ends, end.first)[:, :1]


def activate(level: Level, end: End, maps: Tensor, edge: Tensor, bias: Tensor, pooled: bool) -> Tensor:
    """Bias, ReLU and, if `pooled`, pooling of edge columns, with a shared one where their number is odd."""
    if not pooled:
        return edge.add(bias).relu_()
    if edge.shape[1] % 2:
        edge = torch.cat([edge, level.take(maps, end, edge.shape[1], 1)], dim=1)
    return pool(edge, bias)


def extend(
    conv: TapConv | DirectConv, level: Level, end: End, shared: tuple[Tensor, Tensor], edge: Tensor
) -> Tensor:
    """The output columns of a convolution that depend on the window's end.

    shared: the convolution's shared input and output maps. edge: (N, n, B, C), the true input
    columns that differ from the shared ones. Returns: (N, n + 1, B, out).
    """
    inputs, outputs = shared
    reached = edge.shape[1]
    known = level.take(inputs, end, 0, max(reached, 2))
    ends = conv.rows(edge[:, :2] if reached > 1 else torch.cat([edge, known[:, 1:]], dim=1))
    out = edge.new_empty(len(edge), reached + 1, edge.shape[2], conv.out_channels)
    conv.write(conv.columns(ends, 0, 2, tap=1), out, 0)
    changes = conv.rows(edge - known[:, :reached])
    base = level.take(outputs, end, 1, reached)
    for column in range(reached):
        seen = min(reached - column, 3)
        conv.write(conv.columns(changes, column, seen, tap=0), out, column + 1, base, column)
    return out


class SharedFeatures:
    """The convolutional part of VGGish on overlapping windows of one spectrogram, on a CPU in `dtype`."""

    def __init__(self, net: VggishNet, dtype: torch.dtype = torch.float32) -> None:
        convs = net.convolutions()
        self.dtype = dtype
        self.biases = [conv.bias.detach().to(dtype) for conv in convs if conv.bias is not None]
        self.ends = (End.from_network(net, False, dtype), End.from_network(net, True, dtype))
        self.pooled = (True, True, False, True, False)  # after each convolution but the last

    def __call__(self, spectrum: Tensor, starts: Tensor) -> Tensor:
        """The input of the fully connected layers.

        spectrum: (T, 64). starts: (N,) first frames, 0 <= start <= T - 96 - MARGIN.
        Returns: (N, 12288), in the order of VggishNet.forward.
        """
        level, spectrum = Level(starts, 1), spectrum.to(self.dtype)
        maps = _convolve(spectrum[None], self.ends[0].first)
        edges = [_first_edge(spectrum[None, :, :, None], level, end) for end in self.ends]
        for step, pooled in enumerate(self.pooled):
            bias = self.biases[step]
            edges = [activate(level, s, maps, e, bias, pooled) for s, e in zip(self.ends, edges, strict=True)]
            level, inputs = level.pooled(maps, bias) if pooled else (level, maps.add_(bias).relu_())
            maps = self.ends[0].convs[step].dense(inputs)
            edges = [
                extend(s.convs[step], level, s, (inputs, maps), e)
                for s, e in zip(self.ends, edges, strict=True)
            ]
        leading, trailing = (pool(edge, self.biases[-1]) for edge in edges)
        middle = pool(level.take(maps, self.ends[0], 4, 4), self.biases[-1])
        return torch.cat([leading, middle, trailing.flip(1)], dim=1).flatten(1)
