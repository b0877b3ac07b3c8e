"""The inner block of Mamba as compiled loops: convolution, step size, scan, skip and gate, and derivatives.

Arrays have channels innermost: x, z, dt (B, L, E), a (N, E), states (B, N, E). A job is one sequence and
one block of channels; jobs are independent. Between the matrix products, which torch computes, there is
one pass over memory:

    convolve       u = silu(conv(x)), 0 on padding
    scan_gated     y = (c h + D u) silu(z); h_t = exp(dt_t a) h_(t-1) + dt_t u_t b_t;
                   dt = softplus(W low + bias)
    scan_gated_back, convolve_back    the derivatives, from the inputs and the checkpoints

(Gu and Dao 2023, arXiv 2312.00752, algorithm 2 and figure 3.) E is a multiple of LANES and N of GROUP.
dbc (B, L, R + 2N) is the output of x_proj: dt's low rank, b and c.

Names: g_ before a name = derivative of the loss by it. e, t, n: a channel, a step of a segment, a state.
"""

# mypy: allow-untyped-defs
# The types of these functions are numba's.

from __future__ import annotations

from math import gcd

from vacli.models.mamba_tiles import (
    G_DT,
    G_INTO,
    G_Y,
    GROUP,
    INTO,
    KEPT,
    RECORD,
    RECORD_BACK,
    SLOPE,
    STRIDE,
    SUMS,
    Y,
    gather,
    load_four,
    scan_tile,
    scan_tile_back,
    scatter,
)
from vacli.runtime.jit import compiled
from vacli.runtime.simd import (
    LANES,
    broadcast,
    flush_subnormals,
    fma,
    load,
    restore,
    splat,
    store,
    store_sums,
)
from vacli.runtime.simd_math import ONE, ZERO, add_to, fill, inlined, scratch, sigmoid, softplus

BLOCK = 32  # most vectors of a block: its scratch memory takes 0.7 MB with 16 lanes
MIN_BLOCK = 4  # fewest vectors of a block: narrower rows are read slowly

kernel = compiled(nogil=True)


@inlined
def _extent(job, block, channels):
    """The sequence of a job, its first channel and the channel after its last."""
    blocks = (channels + block - 1) // block
    start = (job % blocks) * block
    return job // blocks, start, min(start + block, channels)


@inlined
def _silu_slope(v, s):
    """The derivative of v s, s = sigmoid(v)."""
    return s * fma(v, splat(ONE) - s, splat(ONE))


@inlined
def _convolved(x, t, e, taps, bias):
    """The causal convolution of x (L, 2E) at step t and the channels from e."""
    size = taps.shape[0]
    y = load(bias, e)
    for k in range(max(0, size - 1 - t), size):
        y = fma(load(taps[k], e), load(x[t - size + 1 + k], e), y)
    return y


@kernel
def convolve(xz, real, taps, bias, u, block, first, last):
    """xz (B, L, 2E), real (B, L), taps (K, E), bias (E,) -> u (B, L, E)."""
    length, channels = u.shape[1], u.shape[2]
    for job in range(first, last):
        i, e0, e1 = _extent(job, block, channels)
        for t in range(length):
            if not real[i, t]:
                fill(u[i, t], e0, e1, splat(ZERO))
                continue
            for e in range(e0, e1, LANES):
                v = _convolved(xz[i], t, e, taps, bias)
                store(u[i, t], e, v * sigmoid(v))


@kernel
def convolve_back(xz, real, taps, bias, g_u, sums, block, first, last):
    """From g_u (B, L, E), which is overwritten: g_x replaces x in xz, g_bias and g_taps those rows of sums.

    sums (B, N + 3 + K, E): see `scan_gated_back`.
    """
    length, channels, size = g_u.shape[1], g_u.shape[2], taps.shape[0]
    for job in range(first, last):
        i, e0, e1 = _extent(job, block, channels)
        g_taps = sums[i, sums.shape[1] - size :]
        g_bias = sums[i, sums.shape[1] - size - 1]
        fill(g_bias, e0, e1, splat(ZERO))
        for k in range(size):
            fill(g_taps[k], e0, e1, splat(ZERO))
        for t in range(length):
            if not real[i, t]:
                fill(g_u[i, t], e0, e1, splat(ZERO))
                continue
            for e in range(e0, e1, LANES):
                v = _convolved(xz[i], t, e, taps, bias)
                g = load(g_u[i, t], e) * _silu_slope(v, sigmoid(v))
                store(g_u[i, t], e, g)
                add_to(g_bias, e, g)
                for k in range(max(0, size - 1 - t), size):
                    seen = load(xz[i, t - size + 1 + k], e)
                    store(g_taps[k], e, fma(g, seen, load(g_taps[k], e)))
        for t in range(length):
            for e in range(e0, e1, LANES):
                g = splat(ZERO)
                for k in range(max(0, size - length + t), size):
                    g = fma(load(taps[k], e), load(g_u[i, t + size - 1 - k], e), g)
                store(xz[i, t], e, g)


@inlined
def _enter(u, low, weights, e, records, q):
    """Begin a record with the step size, which the low rank gives; return softplus'."""
    _, weight, bias, skip = weights
    v = load(bias, e)
    for r in range(weight.shape[0]):
        v = fma(broadcast(low, r), load(weight[r], e), v)
    dt, slope = softplus(v)
    u_now = load(u, e)
    store(records, q, dt)
    store(records, q + INTO, dt * u_now)
    store(records, q + Y, load(skip, e) * u_now)
    return slope


@kernel
def scan_gated(inputs, weights, h_last, checkpoints, block, first, last):
    """u, xz, dbc; rate (N, E), dt_proj (R, E), dt's bias, D (E,) -> the last state (B, N, E).

    The gated output replaces u. rate is a / ln 2. `checkpoints` (B, S, N, E) gets the states before step
    STRIDE, 2 STRIDE, ...; S may be 0.
    """
    u, xz, dbc = inputs
    rates = weights[0]
    length, channels, states = u.shape[1], u.shape[2], rates.shape[0]
    rank, row, vectors = dbc.shape[2] - 2 * states, dbc.shape[2], block // LANES
    rate, h = scratch(vectors * states), scratch(vectors * states)
    records = scratch(vectors * STRIDE * RECORD // LANES)
    mode = flush_subnormals()
    for job in range(first, last):
        i, e0, e1 = _extent(job, block, channels)
        selection = dbc[i].reshape(-1)
        gather(rates, e0, e1, rate)
        fill(h, 0, h.size, splat(ZERO))
        for t0 in range(0, length, STRIDE):
            steps = min(STRIDE, length - t0)
            if 0 < t0 // STRIDE <= checkpoints.shape[1]:
                scatter(h, e0, e1, checkpoints[i, t0 // STRIDE - 1])
            for t in range(steps):
                for e in range(e0, e1, LANES):
                    q = ((e - e0) // LANES * STRIDE + t) * RECORD
                    _enter(u[i, t0 + t], dbc[i, t0 + t], weights, e, records, q)
            for v in range((e1 - e0) // LANES):
                for n in range(0, states, GROUP):
                    at, p = t0 * row + rank + n, (v * states + n) * LANES
                    scan_tile(steps, records, v * STRIDE * RECORD, rate, h, p, selection, at, row, states)
            for t in range(steps):
                for e in range(e0, e1, LANES):
                    y = load(records, ((e - e0) // LANES * STRIDE + t) * RECORD + Y)
                    z = load(xz[i, t0 + t], channels + e)
                    store(u[i, t0 + t], e, y * z * sigmoid(z))
        scatter(h, e0, e1, h_last[i])
    restore(mode)


@inlined
def _enter_back(u, low, z, g_gated, weights, e, records, q):
    """Begin a record of the backward pass."""
    store(records, q + SLOPE, _enter(u, low, weights, e, records, q))
    store(records, q + G_Y, g_gated * z * sigmoid(z))
    store(records, q + G_INTO, splat(ZERO))
    store(records, q + G_DT, splat(ZERO))


@inlined
def _sum_channels(kept, steps, sums, t0, n, states):
    """The derivatives by b and c of a group, summed over the channels of a block."""
    for t in range(steps):
        b, c = t * KEPT + SUMS, t * KEPT + SUMS + GROUP * LANES
        b0, b1, b2, b3 = load_four(kept, b)
        store_sums(sums[t0 + t], n, b0, b1, b2, b3)
        c0, c1, c2, c3 = load_four(kept, c)
        store_sums(sums[t0 + t], states + n, c0, c1, c2, c3)


@inlined
def _leave(records, q, u, z, e, skip, gated, g_u, g_raw, sums):
    """The derivatives of a step, from its record; gated and z hold rows to overwrite."""
    g_bias, g_skip = sums
    x, v, g_gated = load(u, e), load(z, e), load(gated, e)
    y, g_y, g_into = load(records, q + Y), load(records, q + G_Y), load(records, q + G_INTO)
    s = sigmoid(v)
    store(gated, e, y * v * s)
    store(z, e, g_gated * y * _silu_slope(v, s))
    store(g_u, e, fma(g_into, load(records, q), g_y * load(skip, e)))
    g = fma(g_into, x, load(records, q + G_DT)) * load(records, q + SLOPE)
    store(g_raw, e, g)
    add_to(g_bias, e, g)
    add_to(g_skip, e, g_y * x)


@kernel
def scan_gated_back(inputs, weights, gradients_in, made, checkpoints, block, first, last):
    """The derivatives of `scan_gated`; a (N, E) precedes its weights.

    gradients_in: by the gated output, which replaces it, and the last state. g_z replaces z in xz. made: g_u,
    g_raw (by the input of softplus) (B, L, E) and, still to be summed over the first axis, g_bc (blocks, B,
    L, 2N) and sums (B, N + 3 + K, E): g_a, g_bias of dt, g_skip; `convolve_back` makes its other rows.
    """
    u, xz, dbc = inputs
    rates_a, weights = weights[0], weights[1:]
    gated, g_last = gradients_in
    g_u, g_raw, g_bc, made_sums = made
    length, channels, states = u.shape[1], u.shape[2], rates_a.shape[0]
    rank, row, vectors = dbc.shape[2] - 2 * states, dbc.shape[2], block // LANES
    rate, a, h = scratch(vectors * states), scratch(vectors * states), scratch(vectors * states)
    g_h, g_a = scratch(vectors * states), scratch(vectors * states)
    records, kept = scratch(vectors * STRIDE * RECORD_BACK // LANES), scratch(STRIDE * KEPT // LANES)
    mode = flush_subnormals()
    for job in range(first, last):
        i, e0, e1 = _extent(job, block, channels)
        sums, selection = g_bc[e0 // block, i], dbc[i].reshape(-1)
        gather(weights[0], e0, e1, rate)
        gather(rates_a, e0, e1, a)
        gather(g_last[i], e0, e1, g_h)
        fill(g_a, 0, g_a.size, splat(ZERO))
        g_bias, g_skip = made_sums[i, states], made_sums[i, states + 1]
        fill(g_bias, e0, e1, splat(ZERO))
        fill(g_skip, e0, e1, splat(ZERO))
        for segment in range((length - 1) // STRIDE, -1, -1):
            t0 = segment * STRIDE
            steps = min(STRIDE, length - t0)
            if segment:
                gather(checkpoints[i, segment - 1], e0, e1, h)
            else:
                fill(h, 0, h.size, splat(ZERO))
            for t in range(steps):
                for e in range(e0, e1, LANES):
                    q = ((e - e0) // LANES * STRIDE + t) * RECORD_BACK
                    z, g = load(xz[i, t0 + t], channels + e), load(gated[i, t0 + t], e)
                    _enter_back(u[i, t0 + t], dbc[i, t0 + t], z, g, weights, e, records, q)
            for n in range(0, states, GROUP):
                for t in range(steps):
                    fill(kept, t * KEPT + SUMS, (t + 1) * KEPT, splat(ZERO))
                at = t0 * row + rank + n
                for v in range((e1 - e0) // LANES):
                    p, q = (v * states + n) * LANES, v * STRIDE * RECORD_BACK
                    scan_tile_back(
                        steps, records, q, rate, a, h, g_h, g_a, p, selection, at, row, states, kept
                    )
                _sum_channels(kept, steps, sums, t0, n, states)
            for t in range(steps):
                for e in range(e0, e1, LANES):
                    q = ((e - e0) // LANES * STRIDE + t) * RECORD_BACK
                    z, rows = xz[i, t0 + t, channels:], (gated[i, t0 + t], g_u[i, t0 + t], g_raw[i, t0 + t])
                    _leave(records, q, u[i, t0 + t], z, e, weights[3], *rows, (g_bias, g_skip))
        scatter(g_a, e0, e1, made_sums[i, :states])
    restore(mode)


def split(batch: int, channels: int, threads: int) -> tuple[int, int]:
    """Channels of a block, and how many blocks there are over all sequences: as many for each thread."""
    vectors, blocks = channels // LANES, threads // gcd(max(batch, 1), threads)
    block = LANES * min(BLOCK, vectors, max(MIN_BLOCK, -(-vectors // blocks)))
    return block, batch * -(-channels // block)
