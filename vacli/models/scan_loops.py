"""The selective scan as compiled loops, channels innermost, and their own backward pass.

Nothing of size (B, L, E, N) is ever stored. The forward pass keeps the state at every `EVERY`-th step;
the backward pass goes through these stretches last to first, runs each forward again into a scratch
that fits the cache, then backward. Work is split over sequences and blocks of channels, which do not
depend on each other.

Names inside the loops: u = dt x, decay = exp(dt a), g_ before a name = derivative of the loss by it.
Arrays inside have channels last: a (N, E), states (B, N, E).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from vacli.compiled import compiled

EVERY = 32  # steps between kept states
BLOCK = 256  # most channels of a block
SCRATCH = 4096  # most channels x states of a block, so that a stretch of them stays in the L2 cache

F32 = np.float32
ONE = F32(1.0)
# exp(v) = 2^k exp(r), k = round(v / ln 2), r = v - k ln 2 in two parts, |r| <= ln(2) / 2.
LOWEST = F32(-87.0)  # exp of it is the smallest normal float32, near enough to 0
LOG2_E = F32(1.4426950408889634)
LN2_HIGH, LN2_LOW = F32(0.693145751953125), F32(1.42860682030941723212e-6)
# Adding 1.5 x 2^23 leaves round(x) in the low bits; with 127 more they are the exponent bits of 2^k.
ROUND_AND_BIAS = F32(12582912 + 127)
# The polynomial 1 + r + P2 r^2 + ... + P5 r^5 with the least greatest relative error on that interval,
# 1.1e-7. Fixing the first two terms makes exp(0) = 1: a state must not drift over many tiny steps.
P2, P3, P4, P5 = F32(0.4999923110), F32(0.1666711569), F32(0.0418903306), F32(0.0083125010)


def _compiled(*, exact: bool = False, **options: Any) -> Callable[[Callable], Callable]:
    """Compiled with SIMD-friendly sums.

    `exact` leaves sums in their written order: the argument reduction of exp depends on it.
    """
    fastmath = {"contract", "nsz"} if exact else {"contract", "nsz", "arcp", "reassoc"}
    return compiled(fastmath=fastmath, **options)


@_compiled(exact=True)
def exp_of_negative(v):
    """exp(v) for v <= 0, relative error below 1e-6 down to -87, the value at -87 below that."""
    v = max(v, LOWEST)
    shifted = v * LOG2_E + ROUND_AND_BIAS
    k = shifted - ROUND_AND_BIAS
    r = v - k * LN2_HIGH
    r = r - k * LN2_LOW
    p = ONE + r * (ONE + r * (P2 + r * (P3 + r * (P4 + r * P5))))
    return p * np.int32(F32(shifted).view(np.int32) << 23).view(np.float32)


@_compiled()
def _copy(rows, start, width, out, at):
    """out[:, at : at + width] = rows[:, start : start + width]; a slice assignment compiles for seconds."""
    for n in range(rows.shape[0]):
        for e in range(width):
            out[n, at + e] = rows[n, start + e]


@_compiled()
def _step(width, dt, x, u, a, h, b, c, y):
    """One step of one block: h (N, width) in place, y (width,) out."""
    for e in range(width):
        u[e] = dt[e] * x[e]
        y[e] = F32(0)
    for n in range(a.shape[0]):
        bn, cn = b[n], c[n]
        for e in range(width):
            after = exp_of_negative(dt[e] * a[n, e]) * h[n, e] + u[e] * bn
            h[n, e] = after
            y[e] += after * cn


@_compiled(nogil=True)
def forward(inputs, outputs, marks, every, block, first, last):
    """Blocks `first` to `last`: x, dt, a, b, c, h0 -> y, h_last; `marks` (B, L / every, N, E) out."""
    x, dt, a, b, c, h0 = inputs
    y, h_last = outputs
    length, channels, states = x.shape[1], x.shape[2], a.shape[0]
    blocks = (channels + block - 1) // block
    h, rate = np.empty((states, block), F32), np.empty((states, block), F32)
    u = np.empty(block, F32)
    for job in range(first, last):
        i, e0 = job // blocks, (job % blocks) * block
        width = min(block, channels - e0)
        e1 = e0 + width
        _copy(h0[i], e0, width, h, 0)
        _copy(a, e0, width, rate, 0)
        for t in range(length):
            if t % every == 0:
                _copy(h, 0, width, marks[i, t // every], e0)
            _step(width, dt[i, t, e0:e1], x[i, t, e0:e1], u, rate, h, b[i, t], c[i, t], y[i, t, e0:e1])
        _copy(h, 0, width, h_last[i], e0)


@_compiled()
def _step_kept(width, dt, x, u, a, h, b, h_after, decay):
    """One step forward that keeps what the step back needs: u, the state after it, the decay."""
    for e in range(width):
        u[e] = dt[e] * x[e]
    for n in range(a.shape[0]):
        bn = b[n]
        for e in range(width):
            decay[n, e] = exp_of_negative(dt[e] * a[n, e])
            h_after[n, e] = decay[n, e] * h[n, e] + u[e] * bn


@_compiled()
def _step_back(width, dt, x, u, a, h, b, c, decay, g_y, g_h, g_a, sums, g_x, g_dt, g_b, g_c):
    """One step back; h is the state before the step, g_h (N, width) becomes its derivative."""
    g_u, g_rate = sums
    for e in range(width):
        g_u[e] = F32(0)
        g_rate[e] = F32(0)
    for n in range(a.shape[0]):
        bn, cn = b[n], c[n]
        sum_b, sum_c = F32(0), F32(0)
        for e in range(width):
            kept = decay[n, e] * h[n, e]
            g = g_h[n, e] + g_y[e] * cn
            sum_c += g_y[e] * (kept + u[e] * bn)
            sum_b += g * u[e]
            g_u[e] += g * bn
            g_rate[e] += g * kept * a[n, e]
            g_a[n, e] += g * kept * dt[e]
            g_h[n, e] = g * decay[n, e]
        g_b[n], g_c[n] = sum_b, sum_c
    for e in range(width):
        g_x[e] = g_u[e] * dt[e]
        g_dt[e] = g_u[e] * x[e] + g_rate[e]


@_compiled(nogil=True)
def backward(inputs, gradients_in, gradients, marks, every, block, first, last):
    """Blocks `first` to `last`; g_b and g_c are (blocks, B, L, N), g_a (B, N, E): still to be summed."""
    x, dt, a, b, c = inputs
    g_y, g_last = gradients_in
    g_x, g_dt, g_a, g_b, g_c, g_h0 = gradients
    length, channels, states = x.shape[1], x.shape[2], a.shape[0]
    blocks = (channels + block - 1) // block
    h, decay = np.empty((every + 1, states, block), F32), np.empty((every, states, block), F32)
    rate, g_rate = np.empty((states, block), F32), np.empty((states, block), F32)
    g_h = np.empty((states, block), F32)
    u, sums = np.empty((every, block), F32), np.empty((2, block), F32)
    for job in range(first, last):
        i, k = job // blocks, job % blocks
        e0 = k * block
        width = min(block, channels - e0)
        e1 = e0 + width
        _copy(a, e0, width, rate, 0)
        _copy(g_last[i], e0, width, g_h, 0)
        g_rate[:] = F32(0)
        for mark in range((length - 1) // every, -1, -1):
            t0 = mark * every
            steps = min(every, length - t0)
            _copy(marks[i, mark], e0, width, h[0], 0)
            for q in range(steps):
                t = t0 + q
                _step_kept(
                    width, dt[i, t, e0:e1], x[i, t, e0:e1], u[q], rate, h[q], b[i, t], h[q + 1], decay[q]
                )
            for q in range(steps - 1, -1, -1):
                t = t0 + q
                _step_back(
                    width, dt[i, t, e0:e1], x[i, t, e0:e1], u[q], rate, h[q], b[i, t], c[i, t], decay[q],
                    g_y[i, t, e0:e1], g_h, g_rate, (sums[0], sums[1]),
                    g_x[i, t, e0:e1], g_dt[i, t, e0:e1], g_b[k, i, t], g_c[k, i, t],
                )  # fmt: skip
        _copy(g_h, 0, width, g_h0[i], e0)
        _copy(g_rate, 0, width, g_a[i], e0)


def split(batch: int, channels: int, states: int) -> tuple[int, int]:
    """Channels of a block, and how many blocks there are over all sequences."""
    block = max(1, min(BLOCK, channels, max(64, SCRATCH // states)))
    return block, batch * -(-channels // block)
