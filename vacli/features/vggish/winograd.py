"""Winograd's F(4, 3) along the bands of maps, as compiled loops over contiguous channels.

Each transform reads and writes memory once; the same sums in torch pass over memory a dozen times and
cost as much as the products between them (Lavin and Gray 2016, arXiv 1509.09308).
"""

# mypy: allow-untyped-defs
# The types of these functions are numba's.

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from vacli.runtime.jit import compiled

POINTS, TILE = 6, 4
# The filter transform, (6, 3).
FILTER = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
_2, _4, _5, _8 = (np.float32(k) for k in (2, 4, 5, 8))


@compiled(nogil=True, fastmath=True)
def _input_loop(maps, out, start, stop):
    _, times, bands, width = maps.shape
    zero = np.zeros(width, np.float32)
    last = bands // TILE - 1
    for n in range(start, stop):
        for t in range(times):
            column = maps[n, t]
            for i in range(last + 1):
                row = TILE * i
                before = column[row - 1] if i > 0 else zero
                after = column[row + 4] if i < last else zero
                d1, d2, d3, d4 = column[row], column[row + 1], column[row + 2], column[row + 3]
                u0, u1, u2 = out[0, n, i, t], out[1, n, i, t], out[2, n, i, t]
                u3, u4, u5 = out[3, n, i, t], out[4, n, i, t], out[5, n, i, t]
                for c in range(width):
                    even, odd = d4[c] - _4 * d2[c], d3[c] - _4 * d1[c]
                    even2, odd2 = d4[c] - d2[c], _2 * (d3[c] - d1[c])
                    u0[c] = _4 * before[c] - _5 * d2[c] + d4[c]
                    u1[c], u2[c] = even + odd, even - odd
                    u3[c], u4[c] = even2 + odd2, even2 - odd2
                    u5[c] = _4 * d1[c] - _5 * d3[c] + after[c]


@compiled(nogil=True, fastmath=True)
def _output_loop(products, base, base_column, out, out_column, start, stop):
    _, _, tiles, times, width = products.shape
    add = base.shape[0] > 0
    for n in range(start, stop):
        for i in range(tiles):
            for t in range(times):
                m0, m1, m2 = products[0, n, i, t], products[1, n, i, t], products[2, n, i, t]
                m3, m4, m5 = products[3, n, i, t], products[4, n, i, t], products[5, n, i, t]
                rows = out[n, out_column + t, TILE * i : TILE * i + TILE]
                y0, y1, y2, y3 = rows[0], rows[1], rows[2], rows[3]
                for c in range(width):
                    s12, d12, s34, d34 = m1[c] + m2[c], m1[c] - m2[c], m3[c] + m4[c], m3[c] - m4[c]
                    y0[c] = m0[c] + s12 + s34
                    y1[c] = d12 + _2 * d34
                    y2[c] = s12 + _4 * s34
                    y3[c] = d12 + _8 * d34 + m5[c]
                if add:
                    shared = base[n, base_column + t, TILE * i : TILE * i + TILE]
                    for j in range(TILE):
                        row, other = rows[j], shared[j]
                        for c in range(width):
                            row[c] += other[c]


def _on_all_cores(work: Callable[[int, int], None], count: int) -> None:
    """Call work(start, stop) on as many parts of range(count) as torch has threads."""
    parts = min(torch.get_num_threads(), count)
    edges = [count * k // parts for k in range(parts + 1)]
    if parts == 1:
        work(0, count)
        return
    with ThreadPoolExecutor(parts) as pool:
        list(pool.map(work, edges[:-1], edges[1:]))


def input_transform(maps: Tensor) -> Tensor:
    """The input transform.

    maps: (N, T, B, C) float32, B a multiple of 4. Returns: (6, N, B / 4, T, C): neighbours in time
    lie side by side, so that taps are concatenated by a view.
    """
    count, times, bands, width = maps.shape
    out = maps.new_empty(POINTS, count, bands // TILE, times, width)
    source, target = maps.contiguous().numpy(), out.numpy()
    _on_all_cores(lambda start, stop: _input_loop(source, target, start, stop), count)
    return out


def output_transform(
    products: Tensor, out: Tensor, column: int, base: Tensor | None = None, base_column: int = 0
) -> None:
    """The output transform, written to out[:, column : column + T], plus those columns of `base`.

    products: (6, N, tiles, T, C). out, base: (N, any T, 4 * tiles, C), contiguous.
    """
    shared = (out[:0] if base is None else base).numpy()
    sums, target = products.numpy(), out.numpy()

    def work(start: int, stop: int) -> None:
        _output_loop(sums, shared, base_column, target, column, start, stop)

    _on_all_cores(work, products.shape[1])
