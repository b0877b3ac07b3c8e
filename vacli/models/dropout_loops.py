"""The loop of `dropout`: elements kept and scaled, or set to 0, by a hash of their positions."""

# mypy: allow-untyped-defs
# The types of these functions are numba's.

from __future__ import annotations

import numpy as np

from vacli.runtime.jit import compiled

CHUNK = 16384  # elements of a job

U32 = np.uint32
# The hash "lowbias32" (Wellons 2018, nullprogram.com/blog/2018/07/31): each bit of the input changes each bit
# of the output with a probability near 1/2.
SHIFT, MIDDLE, FIRST, SECOND = U32(16), U32(15), U32(0x7FEB352D), U32(0x846CA68B)
ZERO = np.float32(0)


@compiled(forceinline=True)
def _mixed(h):
    h = U32(U32(h ^ U32(h >> SHIFT)) * FIRST)
    h = U32(U32(h ^ U32(h >> MIDDLE)) * SECOND)
    return U32(h ^ U32(h >> SHIFT))


@compiled()
def _drop(x, out, start, key, threshold, scale):
    for i in range(x.size):
        h = _mixed(U32(_mixed(U32(U32(i) + start)) ^ key))
        out[i] = x[i] * scale if h >= threshold else ZERO


@compiled(nogil=True)
def drop(x, out, keys, threshold, scale, first, last):
    """x (n,) times scale -> out, 0 where the hash of the position and both keys is below the threshold."""
    low, high = keys
    for job in range(first, last):
        a, b = job * CHUNK, min((job + 1) * CHUNK, x.size)
        _drop(x[a:b], out[a:b], U32(U32(a) + low), high, threshold, scale)
