"""Functions of vectors of float32 for compiled loops: powers of two, sigmoid, softplus; scratch memory."""

# mypy: allow-untyped-defs
# The types of these functions are numba's.

from __future__ import annotations

import numpy as np

from vacli.runtime.jit import compiled
from vacli.runtime.simd import (
    LANES,
    fma,
    largest,
    load,
    magnitude,
    reciprocal,
    scaled,
    splat,
    store,
    where_negative,
)

inlined = compiled(forceinline=True)

F32 = np.float32
ZERO, ONE, TWO = F32(0), F32(1), F32(2)
LOG2_E = F32(1.4426950408889634)
ROUND = F32(12582912)  # 1.5 x 2^23: adding and subtracting it rounds to a whole number
LOWEST = F32(-87)  # e to it is near enough to 0
# The polynomial 1 + P1 f + ... + P5 f^5 has the smallest maximum relative error of 2^f on |f| <= 1/2, 8e-8.
# Its first term is fixed so that 2^0 = 1: a state must not drift over many steps without input.
P1, P2 = F32(0.6931470632553101), F32(0.24022234976291656)
P3, P4, P5 = F32(0.055506784468889236), F32(0.009671961888670921), F32(0.0013274633092805743)
# log(1 + p) = s (2 + L1 s^2 + ... + L4 s^8), s = p / (2 + p): smallest maximum relative error on 0 <= p <= 1.
L1, L2 = F32(0.6666666269302368), F32(0.4000156819820404)
L3, L4 = F32(0.2837691009044647), F32(0.2607743442058563)


@inlined
def power_of_two(a, b):
    """2^(a b) for a b <= 127, relative error below 3e-7."""
    whole = fma(a, b, splat(ROUND)) - splat(ROUND)
    g = fma(-a, b, whole)  # minus the fraction: its signs make this one instruction
    p = fma(g, splat(-P5), splat(P4))
    p = fma(g, p, splat(-P3))
    p = fma(g, p, splat(P2))
    p = fma(g, p, splat(-P1))
    return scaled(fma(g, p, splat(ONE)), whole)


@inlined
def sigmoid(v):
    """1 / (1 + e^-v), relative error below 1e-6 where it is above 1e-37."""
    return reciprocal(splat(ONE) + power_of_two(largest(v, splat(LOWEST)), splat(-LOG2_E)))


@inlined
def softplus(v):
    """log(1 + e^v) and its derivative 1 / (1 + e^-v), relative errors below 1e-6."""
    p = power_of_two(magnitude(v), splat(-LOG2_E))
    s = p * reciprocal(splat(TWO) + p)
    q = s * s
    log = fma(q, splat(L4), splat(L3))
    log = fma(q, log, splat(L2))
    log = fma(q, log, splat(L1))
    log = s * fma(q, log, splat(TWO))
    r = reciprocal(splat(ONE) + p)
    return largest(v, splat(ZERO)) + log, where_negative(v, p * r, r)


@inlined
def scratch(vectors):
    """Memory for that many vectors, which starts at a cache line."""
    whole = np.empty((vectors + 1) * LANES, F32)
    skipped = (-whole.ctypes.data % (LANES * 4)) // 4
    return whole[skipped : skipped + vectors * LANES]


@inlined
def fill(array, start, stop, value):
    """array[start : stop] = the vector `value`, whole vectors."""
    for i in range(start, stop, LANES):
        store(array, i, value)


@inlined
def add_to(array, index, value):
    """array[index : index + LANES] += value; the index is not checked."""
    store(array, index, load(array, index) + value)
