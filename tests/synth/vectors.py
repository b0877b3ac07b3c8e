"""The functions of vectors on some numbers, here or for a processor without vector instructions."""

from __future__ import annotations

import numpy as np

from vacli.runtime import simd
from vacli.runtime.jit import compiled
from vacli.runtime.simd_math import power_of_two, sigmoid, softplus

POINTS = np.float32([-1e6, -200, -87, -60, -20, -3, -0.7, -1e-3, 0, 1e-3, 0.4, 5, 20, 60, 87, 200])


@compiled()
def _functions(v, out):
    for i in range(0, v.size, simd.LANES):
        x = simd.load(v, i)
        log, slope = softplus(x)
        simd.store(out[0], i, power_of_two(simd.magnitude(x), simd.splat(np.float32(-1))))
        simd.store(out[1], i, sigmoid(x))
        simd.store(out[2], i, log)
        simd.store(out[3], i, slope)
        simd.store_sums(out[4], i, x, -x, x * x, x - simd.broadcast(v, i))


def functions(v: np.ndarray) -> np.ndarray:
    """2^-|v|, sigmoid, softplus, its derivative, and sums over LANES numbers (5, N)."""
    out = np.zeros((5, v.size), np.float32)
    _functions(v, out)
    return out


def check(rtol: float, v: np.ndarray = POINTS) -> None:
    """Raise AssertionError where the relative error of a function is larger."""
    got, exact = functions(v).astype(np.float64), v.astype(np.float64)
    wide = np.clip(exact, -700, 700)
    want = np.exp2(-abs(exact)), 1 / (1 + np.exp(-wide)), np.logaddexp(0, exact), 1 / (1 + np.exp(-wide))
    for name, ours, theirs in zip(("power", "sigmoid", "softplus", "slope"), got, want, strict=False):
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=1e-37, err_msg=name)
    for i in range(0, v.size, simd.LANES):
        part = exact[i : i + simd.LANES]
        sums = [part.sum(), -part.sum(), (part**2).sum(), (part - part[0]).sum()]
        np.testing.assert_allclose(got[4, i : i + 4], sums, rtol=1e-5)


if __name__ == "__main__":
    check(1e-5)  # without fused products, the argument of 2^x is rounded
