"""The selective scan as compiled loops, channels innermost, and their own backward pass.

Nothing of size (B, L, E, N) is ever stored. The forward pass keeps a checkpoint of the state at
every `CHECKPOINT_STRIDE`-th step; the backward pass goes through the segments between them last to first,
recomputes each into a scratch that fits the cache, then goes backward. Work is split over sequences and
blocks of channels, which are independent.

Names inside the loops: u = dt x, decay = exp(dt a), g_ before a name = derivative of the loss by it.
Arrays inside have channels last: a (N, E), states (B, N, E).
"""

# mypy: allow-untyped-defs
# The types of these functions are numba's.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from vacli.runtime.jit import compiled

CHECKPOINT_STRIDE = 32  # steps between checkpoints of the state
BLOCK = 256  # most channels of a block
SCRATCH = 4096  # most channels x states of a block, so that a segment fits the L2 cache

F32 = np.float32
ZERO, ONE = F32(0), F32(1)
LOG2_E = F32(1.4426950408889634)
LOWEST = F32(-126.0)  # 2 to it is the smallest normal float32, near enough to 0
# Adding 1.5 x 2^23 leaves round(v) in the low bits; with 127 more they are the exponent bits of 2^k.
ROUND_AND_BIAS = F32(12582912 + 127)
# The polynomial 1 + P1 f + ... + P5 f^5 has the smallest maximum relative error of 2^f on |f| <= 1/2, 8e-8.
# Its first term is fixed so that 2^0 = 1: a state must not drift over many steps without input.
P1, P2 = F32(0.6931470632553101), F32(0.24022234976291656)
P3, P4, P5 = F32(0.055506784468889236), F32(0.009671961888670921), F32(0.0013274633092805743)


def loops(*, exact: bool = False, **options: Any) -> Callable[[Callable[..., object]], Callable[..., Any]]:
    """Compiled with SIMD-friendly sums.

    `exact` leaves sums in their written order: the argument reduction of exp depends on it.
    """
    fastmath = {"contract", "nsz"} if exact else {"contract", "nsz", "arcp", "reassoc"}
    return compiled(fastmath=fastmath, **options)


@loops(exact=True)
def power_of_two(v):
    """2^v for v <= 0, relative error below 3e-7, the value at -126 below that."""
    v = max(v, LOWEST)
    shifted = v + ROUND_AND_BIAS
    f = v - (shifted - ROUND_AND_BIAS)
    p = ONE + f * (P1 + f * (P2 + f * (P3 + f * (P4 + f * P5))))
    return p * np.int32(F32(shifted).view(np.int32) << 23).view(np.float32)


@loops()
def copy_block(rows, start, width, out, at):
    """out[:, at : at + width] = rows[:, start : start + width]; a slice assignment compiles for seconds."""
    for n in range(rows.shape[0]):
        for e in range(width):
            out[n, at + e] = rows[n, start + e]


@loops()
def load_rates(a, start, width, rate):
    """a / ln 2 of a block: then the decay exp(dt a) is the power of two of dt rate."""
    for n in range(a.shape[0]):
        for e in range(width):
            rate[n, e] = a[n, start + e] * LOG2_E


@loops()
def step(width, dt, u, rate, h, b, c, y):
    """One step of one block: h (N, width) in place, y (width,) out."""
    for e in range(width):
        y[e] = ZERO
    for n in range(rate.shape[0]):
        bn, cn = b[n], c[n]
        for e in range(width):
            after = power_of_two(dt[e] * rate[n, e]) * h[n, e] + u[e] * bn
            h[n, e] = after
            y[e] += after * cn


@loops()
def step_kept(width, dt, u, rate, h, b, c, h_after, decay, y):
    """`step` that also stores the state after it and the decay, for the step back."""
    for e in range(width):
        y[e] = ZERO
    for n in range(rate.shape[0]):
        bn, cn = b[n], c[n]
        for e in range(width):
            kept = power_of_two(dt[e] * rate[n, e])
            after = kept * h[n, e] + u[e] * bn
            decay[n, e] = kept
            h_after[n, e] = after
            y[e] += after * cn


@loops()
def step_back(width, dt, u, a, h, h_after, b, c, decay, g_y, g_h, g_a, g_u, g_dt, g_b, g_c):
    """One step back from state h_after to state h; g_h (N, width) becomes the derivative by h.

    g_dt is the derivative by dt at fixed u: the part through u = dt x is not included.
    """
    for e in range(width):
        g_u[e] = ZERO
        g_dt[e] = ZERO
    for n in range(a.shape[0]):
        bn, cn = b[n], c[n]
        sum_b, sum_c = ZERO, ZERO
        for e in range(width):
            g = g_h[n, e] + g_y[e] * cn
            sum_c += g_y[e] * h_after[n, e]
            sum_b += g * u[e]
            g_u[e] += g * bn
            g_kept = g * decay[n, e]
            g_h[n, e] = g_kept
            g_exponent = g_kept * h[n, e]
            g_dt[e] += g_exponent * a[n, e]
            g_a[n, e] += g_exponent * dt[e]
        g_b[n], g_c[n] = sum_b, sum_c


@loops()
def _product(width, dt, x, u):
    for e in range(width):
        u[e] = dt[e] * x[e]


@loops(nogil=True)
def forward(inputs, outputs, checkpoints, stride, block, first, last):
    """Blocks `first` to `last`: x, dt, a, b, c, h0 -> y, h_last; `checkpoints` (B, L / stride, N, E) out."""
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
        copy_block(h0[i], e0, width, h, 0)
        load_rates(a, e0, width, rate)
        for t in range(length):
            if t % stride == 0:
                copy_block(h, 0, width, checkpoints[i, t // stride], e0)
            _product(width, dt[i, t, e0:e1], x[i, t, e0:e1], u)
            step(width, dt[i, t, e0:e1], u, rate, h, b[i, t], c[i, t], y[i, t, e0:e1])
        copy_block(h, 0, width, h_last[i], e0)


@loops()
def _leave(width, dt, x, g_u, g_decay, g_x, g_dt):
    """From the derivatives by u = dt x and by dt in the decay to those by x and dt."""
    for e in range(width):
        g_x[e] = g_u[e] * dt[e]
        g_dt[e] = g_u[e] * x[e] + g_decay[e]


@loops(nogil=True)
def backward(inputs, gradients_in, gradients, checkpoints, stride, block, first, last):
    """Blocks `first` to `last`; g_b and g_c are (blocks, B, L, N), g_a (B, N, E): still to be summed."""
    x, dt, a, b, c = inputs
    g_y, g_last = gradients_in
    g_x, g_dt, g_a, g_b, g_c, g_h0 = gradients
    length, channels, states = x.shape[1], x.shape[2], a.shape[0]
    blocks = (channels + block - 1) // block
    h, decay = np.empty((stride + 1, states, block), F32), np.empty((stride, states, block), F32)
    rate, a_here = np.empty((states, block), F32), np.empty((states, block), F32)
    g_h, g_rate = np.empty((states, block), F32), np.empty((states, block), F32)
    u, y = np.empty((stride, block), F32), np.empty(block, F32)
    g_u, g_decay = np.empty(block, F32), np.empty(block, F32)
    for job in range(first, last):
        i, k = job // blocks, job % blocks
        e0 = k * block
        width = min(block, channels - e0)
        e1 = e0 + width
        load_rates(a, e0, width, rate)
        copy_block(a, e0, width, a_here, 0)
        copy_block(g_last[i], e0, width, g_h, 0)
        g_rate[:] = ZERO
        for checkpoint in range((length - 1) // stride, -1, -1):
            t0 = checkpoint * stride
            steps = min(stride, length - t0)
            copy_block(checkpoints[i, checkpoint], e0, width, h[0], 0)
            for q in range(steps):
                t = t0 + q
                dt_now = dt[i, t, e0:e1]
                _product(width, dt_now, x[i, t, e0:e1], u[q])
                step_kept(width, dt_now, u[q], rate, h[q], b[i, t], c[i, t], h[q + 1], decay[q], y)
            for q in range(steps - 1, -1, -1):
                t = t0 + q
                dt_now, x_now = dt[i, t, e0:e1], x[i, t, e0:e1]
                step_back(
                    width, dt_now, u[q], a_here, h[q], h[q + 1], b[i, t], c[i, t], decay[q],
                    g_y[i, t, e0:e1], g_h, g_rate, g_u, g_decay, g_b[k, i, t], g_c[k, i, t],
                )  # fmt: skip
                _leave(width, dt_now, x_now, g_u, g_decay, g_x[i, t, e0:e1], g_dt[i, t, e0:e1])
        copy_block(g_h, 0, width, g_h0[i], e0)
        copy_block(g_rate, 0, width, g_a[i], e0)


def split(batch: int, channels: int, states: int) -> tuple[int, int]:
    """Channels of a block, and how many blocks there are over all sequences."""
    block = max(1, min(BLOCK, channels, max(64, SCRATCH // states)))
    return block, batch * -(-channels // block)
