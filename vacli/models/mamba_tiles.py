"""The recurrence of Mamba for a few states in registers, forward and back, and its scratch memory.

A tile is LANES channels and GROUP = 2 states over a segment of at most STRIDE steps. What a step needs lies
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

GROUP = 2  # states whose recurrence runs in registers
# Steps of a segment and between checkpoints of the state, E N / STRIDE values per frame. The records and
# what is kept of a segment take 42 KB with 16 lanes.
STRIDE = 44
# Of a step and a vector of channels: dt at 0, dt u, y; backward also g_y, g_into, g_dt, softplus'.
INTO, Y, G_Y, G_INTO, G_DT, SLOPE = (i * LANES for i in range(1, 7))
RECORD, RECORD_BACK = 3 * LANES, 7 * LANES
# Of a step backward: decay and state before of each state of the group, then the sums for g_b and g_c.
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


@compiled(nogil=True)
def scan_tile(steps, records, q, rate, h, p, selection, at, row, states):
    """A group of states of one vector over a segment.

    records: from q on; rate, h: one vector a state, from p on; selection: b from `at` on, c `states` later,
    the next step `row` later. h is replaced, y is added to.
    """
    r0, r1 = load(rate, p), load(rate, p + LANES)
    h0, h1 = load(h, p), load(h, p + LANES)
    for _ in range(steps):
        dt, into, y = load(records, q), load(records, q + INTO), load(records, q + Y)
        h0 = fma(power_of_two(dt, r0), h0, into * broadcast(selection, at))
        h1 = fma(power_of_two(dt, r1), h1, into * broadcast(selection, at + 1))
        y = fma(h0, broadcast(selection, at + states), y)
        store(records, q + Y, fma(h1, broadcast(selection, at + states + 1), y))
        q += RECORD
        at += row
    store(h, p, h0)
    store(h, p + LANES, h1)


@inlined
def _keep(kept, k, decay, h):
    store(kept, k, decay)
    store(kept, k + LANES, h)
    return decay


@inlined
def _back(g_h, before, after, decay, into, g_y, b, c, kept, k):
    """One step back of one state: the derivatives by the state after it, by that before it, by its exponent.

    kept gets the terms of the derivatives by b and c added.
    """
    g = fma(g_y, c, g_h)
    store(kept, k, fma(g, into, load(kept, k)))
    store(kept, k + LANES, fma(g_y, after, load(kept, k + LANES)))
    g_before = g * decay
    return g, g_before, g_before * before


@compiled(nogil=True)
def scan_tile_back(steps, records, q, rate, a, h, g_h, g_a, p, selection, at, row, states, kept):
    """The derivatives of `scan_tile`, which is computed again from the state h before the segment.

    g_h: by the state after the segment, replaced by that before it. Added to: y, g_into, g_dt of records, g_a
    (one vector a state), the sums of kept.
    """
    r0, r1 = load(rate, p), load(rate, p + LANES)
    h0, h1 = load(h, p), load(h, p + LANES)
    k = 0
    for _ in range(steps):
        dt, into, y = load(records, q), load(records, q + INTO), load(records, q + Y)
        decay = _keep(kept, k, power_of_two(dt, r0), h0)
        h0 = fma(decay, h0, into * broadcast(selection, at))
        decay = _keep(kept, k + 2 * LANES, power_of_two(dt, r1), h1)
        h1 = fma(decay, h1, into * broadcast(selection, at + 1))
        y = fma(h0, broadcast(selection, at + states), y)
        store(records, q + Y, fma(h1, broadcast(selection, at + states + 1), y))
        q += RECORD_BACK
        at += row
        k += KEPT
    a0, a1 = load(a, p), load(a, p + LANES)
    g0, g1 = load(g_h, p), load(g_h, p + LANES)
    s0, s1 = load(g_a, p), load(g_a, p + LANES)
    for _ in range(steps):
        q -= RECORD_BACK
        at -= row
        k -= KEPT
        dt, into, g_y = load(records, q), load(records, q + INTO), load(records, q + G_Y)
        by_into, by_dt = load(records, q + G_INTO), load(records, q + G_DT)
        decay, before = load(kept, k), load(kept, k + LANES)
        b, c = broadcast(selection, at), broadcast(selection, at + states)
        g, g0, by = _back(g0, before, h0, decay, into, g_y, b, c, kept, k + SUMS)
        h0, s0 = before, fma(by, dt, s0)
        by_into, by_dt = fma(g, b, by_into), fma(by, a0, by_dt)
        decay, before = load(kept, k + 2 * LANES), load(kept, k + 3 * LANES)
        b, c = broadcast(selection, at + 1), broadcast(selection, at + states + 1)
        g, g1, by = _back(g1, before, h1, decay, into, g_y, b, c, kept, k + SUMS + 2 * LANES)
        h1, s1 = before, fma(by, dt, s1)
        store(records, q + G_INTO, fma(g, b, by_into))
        store(records, q + G_DT, fma(by, a1, by_dt))
    store(g_h, p, g0)
    store(g_h, p + LANES, g1)
    store(g_a, p, s0)
    store(g_a, p + LANES, s1)
