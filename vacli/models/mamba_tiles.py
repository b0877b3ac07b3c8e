"""The recurrence of Mamba for a few states in registers, forward and back, and its scratch memory.

A tile is LANES channels and GROUP = 4 states over a segment of at most STRIDE steps. What a step needs lies
side by side in memory (a record), so that all of a tile fits the fastest cache and no two of its streams
have addresses that processors take for the same.

Names: g_ before a name = derivative of the loss by it.
"""

# mypy: allow-untyped-defs
# The types of these functions are numba's.

from __future__ import annotations

from vacli.runtime.jit import compiled
from vacli.runtime.simd import LANES, broadcast, fma, load, store
from vacli.runtime.simd_math import inlined, power_of_two

GROUP = 4  # states whose recurrence runs in registers
# Steps of a segment and between checkpoints of the state, E N / STRIDE values per frame. What is kept of a
# segment takes 32 KB with 16 lanes.
STRIDE = 32
# Of a step and a vector of channels: dt at 0, dt u, y; backward also g_y, g_into, g_dt, softplus'.
INTO, Y, G_Y, G_INTO, G_DT, SLOPE = (i * LANES for i in range(1, 7))
RECORD, RECORD_BACK = 3 * LANES, 7 * LANES
# Of a step backward: decay and state before of each state of the group, then their sums for g_b, for g_c.
SUMS, KEPT = 2 * GROUP * LANES, 4 * GROUP * LANES


@inlined
def gather(rows, e0, e1, packed):
    """Rows (N, E) from e0 to e1 -> vectors (vectors, N)."""
    states = rows.shape[0]
    for n in range(states):
        for e in range(e0, e1, LANES):
            store(packed, (e - e0) * states + n * LANES, load(rows[n], e))


@inlined
def scatter(packed, e0, e1, rows):
    """The opposite of `gather`."""
    states = rows.shape[0]
    for n in range(states):
        for e in range(e0, e1, LANES):
            store(rows[n], e, load(packed, (e - e0) * states + n * LANES))


@inlined
def load_four(array, index):
    """Four vectors, one after the other."""
    first, second = load(array, index), load(array, index + LANES)
    return first, second, load(array, index + 2 * LANES), load(array, index + 3 * LANES)


@inlined
def _store_four(array, index, vectors):
    for i in range(4):
        store(array, index + i * LANES, vectors[i])


@inlined
def _step(dt, into, rate, h, selection, at):
    """A state after a step."""
    return fma(power_of_two(dt, rate), h, into * broadcast(selection, at))


@compiled(nogil=True)
def scan_tile(steps, records, q, rate, h, p, selection, at, row, states):
    """A group of states of one vector over a segment.

    records: from q on; rate, h: one vector a state, from p on; selection: b from `at` on, c `states` later,
    the next step `row` later. h is replaced, y is added to.
    """
    r0, r1, r2, r3 = load_four(rate, p)
    h0, h1, h2, h3 = load_four(h, p)
    for _ in range(steps):
        dt, into, y = load(records, q), load(records, q + INTO), load(records, q + Y)
        c = at + states
        h0 = _step(dt, into, r0, h0, selection, at)
        h1 = _step(dt, into, r1, h1, selection, at + 1)
        h2 = _step(dt, into, r2, h2, selection, at + 2)
        h3 = _step(dt, into, r3, h3, selection, at + 3)
        y = fma(h1, broadcast(selection, c + 1), fma(h0, broadcast(selection, c), y))
        y = fma(h3, broadcast(selection, c + 3), fma(h2, broadcast(selection, c + 2), y))
        store(records, q + Y, y)
        q += RECORD
        at += row
    _store_four(h, p, (h0, h1, h2, h3))


@inlined
def _keep(dt, into, rate, h, selection, at, kept, k):
    """A state after a step; its decay and the state before are kept."""
    decay = power_of_two(dt, rate)
    store(kept, k, decay)
    store(kept, k + LANES, h)
    return fma(decay, h, into * broadcast(selection, at))


@inlined
def _back(step, state, added, selection, b, c, kept, k, sums):
    """One step back of one state.

    step: dt, dt u, g_y. state: a, the derivative by the state, the state, the sum for g_a. added: g_into,
    g_dt. b, c: their places in selection. Returns: the derivative by the state before, that state, the sum,
    g_into and g_dt. The sums of kept, from `sums` on, get the terms of the derivatives by b and c.
    """
    dt, into, g_y = step
    a, g_h, after, g_a = state
    by_into, by_dt = added
    decay, before = load(kept, k), load(kept, k + LANES)
    g = fma(g_y, broadcast(selection, c), g_h)
    store(kept, sums, fma(g, into, load(kept, sums)))
    sums += GROUP * LANES
    store(kept, sums, fma(g_y, after, load(kept, sums)))
    g_before = g * decay
    by = g_before * before
    return g_before, before, fma(by, dt, g_a), fma(g, broadcast(selection, b), by_into), fma(by, a, by_dt)


@compiled(nogil=True)
def scan_tile_back(steps, records, q, rate, a, h, g_h, g_a, p, selection, at, row, states, kept):
    """The derivatives of `scan_tile`, which is computed again from the state h before the segment.

    g_h: by the state after the segment, replaced by that before it. Added to: y, g_into, g_dt of records, g_a
    (one vector a state), the sums of kept.
    """
    r0, r1, r2, r3 = load_four(rate, p)
    h0, h1, h2, h3 = load_four(h, p)
    k, pair = 0, 2 * LANES
    for _ in range(steps):
        dt, into, y = load(records, q), load(records, q + INTO), load(records, q + Y)
        c = at + states
        h0 = _keep(dt, into, r0, h0, selection, at, kept, k)
        h1 = _keep(dt, into, r1, h1, selection, at + 1, kept, k + pair)
        h2 = _keep(dt, into, r2, h2, selection, at + 2, kept, k + 2 * pair)
        h3 = _keep(dt, into, r3, h3, selection, at + 3, kept, k + 3 * pair)
        y = fma(h1, broadcast(selection, c + 1), fma(h0, broadcast(selection, c), y))
        y = fma(h3, broadcast(selection, c + 3), fma(h2, broadcast(selection, c + 2), y))
        store(records, q + Y, y)
        q += RECORD_BACK
        at += row
        k += KEPT
    a0, a1, a2, a3 = load_four(a, p)
    g0, g1, g2, g3 = load_four(g_h, p)
    s0, s1, s2, s3 = load_four(g_a, p)
    for _ in range(steps):
        q -= RECORD_BACK
        at -= row
        k -= KEPT
        step = load(records, q), load(records, q + INTO), load(records, q + G_Y)
        i, d = load(records, q + G_INTO), load(records, q + G_DT)
        sums, c = k + SUMS, at + states
        g0, h0, s0, i, d = _back(step, (a0, g0, h0, s0), (i, d), selection, at, c, kept, k, sums)
        n, m = k + pair, sums + LANES
        g1, h1, s1, i, d = _back(step, (a1, g1, h1, s1), (i, d), selection, at + 1, c + 1, kept, n, m)
        n, m = n + pair, m + LANES
        g2, h2, s2, i, d = _back(step, (a2, g2, h2, s2), (i, d), selection, at + 2, c + 2, kept, n, m)
        n, m = n + pair, m + LANES
        g3, h3, s3, i, d = _back(step, (a3, g3, h3, s3), (i, d), selection, at + 3, c + 3, kept, n, m)
        store(records, q + G_INTO, i)
        store(records, q + G_DT, d)
    _store_four(g_h, p, (g0, g1, g2, g3))
    _store_four(g_a, p, (s0, s1, s2, s3))
