"""The loop of `dropout`: elements kept and scaled, or set to 0, by a hash of their positions."""

# mypy: allow-untyped-defs
# The types of these functions are numba's.

from __future__ import annotations

import numpy as np

from vacli.runtime.jit import compiled
from vacli.runtime.shared_jobs import share

CHUNK = 16384  # elements of a job
HALF = CHUNK // 2
RESOLUTION = 1 << 16  # a hash has the random numbers of two elements: probabilities are multiples of 1 / 2^16

U32 = np.uint32
# The hash "lowbias32" (Wellons 2018, nullprogram.com/blog/2018/07/31): each bit of the input changes each bit
# of the output with a probability near 1/2.
SHIFT, MIDDLE, FIRST, SECOND = U32(16), U32(15), U32(0x7FEB352D), U32(0x846CA68B)
LOW, NONE = U32(RESOLUTION - 1), U32(0)
ZERO = np.float32(0)


@compiled(forceinline=True)
def _mixed(h):
    h = U32(U32(h ^ U32(h >> SHIFT)) * FIRST)
    h = U32(U32(h ^ U32(h >> MIDDLE)) * SECOND)
    return U32(h ^ U32(h >> SHIFT))


@compiled()
def _hash(start, key, hashes):
    for i in range(hashes.size):
        hashes[i] = _mixed(U32(_mixed(U32(U32(i) + start)) ^ key))


@compiled()
def _keep(x, hashes, shift, threshold, numbers, out):
    scale, floor = numbers
    for i in range(x.size):
        number = U32(U32(hashes[i] >> shift) & LOW)
        v = floor if x[i] < floor else x[i]  # NaN stays NaN
        out[i] = v * scale if number >= threshold else ZERO


@compiled(nogil=True)
def _drop(x, out, keys, threshold, numbers, first, last):
    low, high = keys
    hashes = np.empty(HALF, U32)
    for job in range(first, last):
        start = job * CHUNK
        middle, end = min(start + HALF, x.size), min(start + CHUNK, x.size)
        _hash(U32(U32(start) + low), high, hashes[: middle - start])
        _keep(x[start:middle], hashes, NONE, threshold, numbers, out[start:middle])
        _keep(x[middle:end], hashes, SHIFT, threshold, numbers, out[middle:end])


@compiled(nogil=True)
def drop(x, out, keys, threshold, numbers, team):
    """max(x, floor) times scale (n,) -> out, 0 where a random number of 16 bits is below the threshold.

    The number is half of the hash of a position and both keys. numbers: scale, floor. team: see `share`.
    """
    share(_drop, (x, out, keys, threshold, numbers), team)
