"""The inner block of Mamba as compiled loops: convolution, step size, scan, skip and gate, and derivatives.

Arrays have channels innermost: x, z, dt (B, L, E), a (N, E), states (B, N, E). A job is one sequence and
one block of channels; jobs are independent. Between the matrix products, which torch computes, there is
one pass over memory:

    convolve       u = silu(conv(x)), 0 on padding
    scan_gated     y = (c h + D u) silu(z); h_t = exp(dt_t a) h_(t-1) + dt_t u_t b_t;
                   dt = softplus(raw + bias)
    scan_gated_back, convolve_back    the derivatives, from the inputs and the checkpoints

(Gu and Dao 2023, arXiv 2312.00752, algorithm 2 and figure 3.) Names: g_ before a name = derivative of the
loss by it.
"""

# mypy: allow-untyped-defs
# The types of these functions are numba's.

from __future__ import annotations

import numpy as np

from vacli.models.scan_loops import (
    F32,
    LOG2_E,
    ONE,
    ZERO,
    copy_block,
    load_rates,
    loops,
    power_of_two,
    step,
    step_back,
    step_kept,
)

CHECKPOINT_STRIDE = 64  # steps between checkpoints of the state, E N / 64 values per frame
BLOCK = 128  # most channels of a block
SCRATCH = 2048  # most channels x states of a block, so that a segment fits the L2 cache

TWO = F32(2)
# log(1 + p) = s (2 + L1 s^2 + ... + L4 s^8), s = p / (2 + p): smallest maximum relative error on 0 <= p <= 1.
L1, L2 = F32(0.6666666269302368), F32(0.4000156819820404)
L3, L4 = F32(0.2837691009044647), F32(0.2607743442058563)


@loops(exact=True)
def softplus(v):
    """log(1 + e^v), relative error below 1e-6."""
    p = power_of_two(-abs(v) * LOG2_E)
    s = p / (TWO + p)
    q = s * s
    return max(v, ZERO) + s * (TWO + q * (L1 + q * (L2 + q * (L3 + q * L4))))


@loops(exact=True)
def sigmoid(v):
    """1 / (1 + e^-v), relative error below 1e-6 where it is above 1e-37."""
    p = power_of_two(-abs(v) * LOG2_E)
    return (ONE if v >= ZERO else p) / (ONE + p)


@loops()
def _convolved(x, t, e0, width, taps, bias, row):
    """row (width,) = the causal convolution of x (L, 2E) at step t."""
    kernel = taps.shape[0]
    for e in range(width):
        row[e] = bias[e0 + e]
    for k in range(max(0, kernel - 1 - t), kernel):
        tap, seen = taps[k, e0 : e0 + width], x[t - kernel + 1 + k, e0 : e0 + width]
        for e in range(width):
            row[e] += tap[e] * seen[e]


@loops(nogil=True)
def convolve(xz, real, taps, bias, u, block, first, last):
    """xz (B, L, 2E), real (B, L), taps (K, E), bias (E,) -> u (B, L, E)."""
    length, channels = u.shape[1], u.shape[2]
    blocks = (channels + block - 1) // block
    row = np.empty(block, F32)
    for job in range(first, last):
        i, e0 = job // blocks, (job % blocks) * block
        width = min(block, channels - e0)
        for t in range(length):
            out = u[i, t, e0 : e0 + width]
            if not real[i, t]:
                for e in range(width):
                    out[e] = ZERO
                continue
            _convolved(xz[i], t, e0, width, taps, bias, row)
            for e in range(width):
                out[e] = row[e] * sigmoid(row[e])


@loops(nogil=True)
def convolve_back(xz, real, taps, bias, g_u, gradients, block, first, last):
    """g_u (B, L, E) -> the first half of g_xz (B, L, 2E), g_taps (B, K, E), g_bias (B, E).

    g_u is overwritten.
    """
    g_xz, g_taps, g_bias = gradients
    length, channels, kernel = g_u.shape[1], g_u.shape[2], taps.shape[0]
    blocks = (channels + block - 1) // block
    row = np.empty(block, F32)
    for job in range(first, last):
        i, e0 = job // blocks, (job % blocks) * block
        width = min(block, channels - e0)
        g_taps[i, :, e0 : e0 + width] = ZERO
        g_bias[i, e0 : e0 + width] = ZERO
        total = g_bias[i, e0 : e0 + width]
        for t in range(length):
            g_row = g_u[i, t, e0 : e0 + width]
            if not real[i, t]:
                for e in range(width):
                    g_row[e] = ZERO
                continue
            _convolved(xz[i], t, e0, width, taps, bias, row)
            for e in range(width):
                s = sigmoid(row[e])
                g_row[e] *= s * (ONE + row[e] * (ONE - s))
                total[e] += g_row[e]
            for k in range(max(0, kernel - 1 - t), kernel):
                seen, sums = xz[i, t - kernel + 1 + k, e0 : e0 + width], g_taps[i, k, e0 : e0 + width]
                for e in range(width):
                    sums[e] += g_row[e] * seen[e]
        for t in range(length):
            out = g_xz[i, t, e0 : e0 + width]
            for e in range(width):
                out[e] = ZERO
            for k in range(max(0, kernel - length + t), kernel):
                tap, g_row = taps[k, e0 : e0 + width], g_u[i, t + kernel - 1 - k, e0 : e0 + width]
                for e in range(width):
                    out[e] += tap[e] * g_row[e]


@loops()
def _enter(width, raw, bias, u, dt, into):
    """dt = softplus(raw + bias) and into = dt u, each (width,)."""
    for e in range(width):
        dt[e] = softplus(raw[e] + bias[e])
        into[e] = dt[e] * u[e]


@loops(nogil=True)
def scan_gated(inputs, weights, outputs, checkpoints, stride, block, first, last):
    """u, raw, xz, b, c; a (N, E), bias, skip (E,) -> gated (B, L, E), h_last (B, N, E).

    `checkpoints` (B, L / stride, N, E) gets the state before every `stride`-th step.
    """
    u, raw, xz, b, c = inputs
    a_of, bias, skip = weights
    gated, h_last = outputs
    length, channels, states = u.shape[1], u.shape[2], a_of.shape[0]
    blocks = (channels + block - 1) // block
    h, rate = np.empty((states, block), F32), np.empty((states, block), F32)
    dt, into, y = np.empty(block, F32), np.empty(block, F32), np.empty(block, F32)
    for job in range(first, last):
        i, e0 = job // blocks, (job % blocks) * block
        width = min(block, channels - e0)
        e1 = e0 + width
        load_rates(a_of, e0, width, rate)
        for n in range(states):
            for e in range(width):
                h[n, e] = ZERO
        for t in range(length):
            if t % stride == 0:
                copy_block(h, 0, width, checkpoints[i, t // stride], e0)
            now, z = u[i, t, e0:e1], xz[i, t, channels + e0 : channels + e1]
            _enter(width, raw[i, t, e0:e1], bias[e0:e1], now, dt, into)
            step(width, dt, into, rate, h, b[i, t], c[i, t], y)
            _gate(width, y, skip[e0:e1], now, z, gated[i, t, e0:e1])
        copy_block(h, 0, width, h_last[i], e0)


@loops()
def _gate(width, y, skip, u, z, out):
    for e in range(width):
        out[e] = (y[e] + skip[e] * u[e]) * (z[e] * sigmoid(z[e]))


@loops()
def _ungate(width, g_gated, y, skip, u, z, g_y, g_z, gated, g_skip):
    """From the derivative by the gated output to those by y, z and D, and the recomputed output."""
    for e in range(width):
        s = sigmoid(z[e])
        silu = z[e] * s
        out = y[e] + skip[e] * u[e]
        gated[e] = out * silu
        g_y[e] = g_gated[e] * silu
        g_z[e] = g_gated[e] * out * s * (ONE + z[e] * (ONE - s))
        g_skip[e] += g_y[e] * u[e]


@loops()
def _leave(width, g_into, g_decay, g_y, skip, u, dt, raw, bias, g_u, g_raw, g_bias):
    """From the derivatives by dt u and by dt to those by u and by the input of softplus."""
    for e in range(width):
        g_u[e] = g_into[e] * dt[e] + g_y[e] * skip[e]
        g_raw[e] = (g_decay[e] + g_into[e] * u[e]) * sigmoid(raw[e] + bias[e])
        g_bias[e] += g_raw[e]


@loops(nogil=True)
def scan_gated_back(inputs, weights, gradients_in, made, checkpoints, stride, block, first, last):
    """The derivatives of `scan_gated`.

    made: g_u, g_raw, gated (B, L, E), the second half of g_xz (B, L, 2E), g_b and g_c (blocks, B, L, N),
    g_a (B, N, E), g_bias and g_skip (B, E): the last five still to be summed.
    """
    u, raw, xz, b, c = inputs
    a_of, bias, skip = weights
    g_gated, g_last = gradients_in
    g_u, g_raw, gated, g_xz, g_b, g_c, g_a, g_bias, g_skip = made
    length, channels, states = u.shape[1], u.shape[2], a_of.shape[0]
    blocks = (channels + block - 1) // block
    h, decay = np.empty((stride + 1, states, block), F32), np.empty((stride, states, block), F32)
    rate, a = np.empty((states, block), F32), np.empty((states, block), F32)
    g_h, g_rate = np.empty((states, block), F32), np.empty((states, block), F32)
    dt, into = np.empty((stride, block), F32), np.empty((stride, block), F32)
    y = np.empty((stride, block), F32)
    g_into, g_decay, g_y = np.empty(block, F32), np.empty(block, F32), np.empty(block, F32)
    for job in range(first, last):
        i, k = job // blocks, job % blocks
        e0 = k * block
        width = min(block, channels - e0)
        e1 = e0 + width
        load_rates(a_of, e0, width, rate)
        copy_block(a_of, e0, width, a, 0)
        copy_block(g_last[i], e0, width, g_h, 0)
        g_rate[:] = ZERO
        g_bias[i, e0:e1] = ZERO
        g_skip[i, e0:e1] = ZERO
        for checkpoint in range((length - 1) // stride, -1, -1):
            t0 = checkpoint * stride
            steps = min(stride, length - t0)
            copy_block(checkpoints[i, checkpoint], e0, width, h[0], 0)
            for q in range(steps):
                t = t0 + q
                _enter(width, raw[i, t, e0:e1], bias[e0:e1], u[i, t, e0:e1], dt[q], into[q])
                step_kept(width, dt[q], into[q], rate, h[q], b[i, t], c[i, t], h[q + 1], decay[q], y[q])
            for q in range(steps - 1, -1, -1):
                t = t0 + q
                now, half = u[i, t, e0:e1], slice(channels + e0, channels + e1)
                _ungate(
                    width, g_gated[i, t, e0:e1], y[q], skip[e0:e1], now, xz[i, t, half],
                    g_y, g_xz[i, t, half], gated[i, t, e0:e1], g_skip[i, e0:e1],
                )  # fmt: skip
                step_back(
                    width, dt[q], into[q], a, h[q], h[q + 1], b[i, t], c[i, t], decay[q],
                    g_y, g_h, g_rate, g_into, g_decay, g_b[k, i, t], g_c[k, i, t],
                )  # fmt: skip
                _leave(
                    width, g_into, g_decay, g_y, skip[e0:e1], now, dt[q], raw[i, t, e0:e1], bias[e0:e1],
                    g_u[i, t, e0:e1], g_raw[i, t, e0:e1], g_bias[i, e0:e1],
                )  # fmt: skip
        copy_block(g_rate, 0, width, g_a[i], e0)


def split(batch: int, channels: int, states: int) -> tuple[int, int]:
    """Channels of a block, and how many blocks there are over all sequences."""
    block = max(1, min(BLOCK, channels, max(64, SCRATCH // states)))
    return block, batch * -(-channels // block)
