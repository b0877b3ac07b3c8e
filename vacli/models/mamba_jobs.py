"""The loops of `mamba_loops`, whose jobs a team of threads shares; see `runtime.shared_jobs.share`."""

# mypy: allow-untyped-defs
# The types of these functions are numba's.

from __future__ import annotations

from vacli.models import mamba_loops
from vacli.models.mamba_loops import kernel
from vacli.runtime.shared_jobs import share

_convolve, _convolve_back = mamba_loops.convolve, mamba_loops.convolve_back
_scan_gated, _scan_gated_back = mamba_loops.scan_gated, mamba_loops.scan_gated_back


@kernel
def convolve(xz, real, taps, bias, u, block, team):
    """See `mamba_loops.convolve`."""
    share(_convolve, (xz, real, taps, bias, u, block), team)


@kernel
def convolve_back(xz, real, taps, bias, g_u, sums, block, team):
    """See `mamba_loops.convolve_back`."""
    share(_convolve_back, (xz, real, taps, bias, g_u, sums, block), team)


@kernel
def scan_gated(inputs, weights, h_last, checkpoints, block, team):
    """See `mamba_loops.scan_gated`."""
    share(_scan_gated, (inputs, weights, h_last, checkpoints, block), team)


@kernel
def scan_gated_back(inputs, weights, gradients_in, made, checkpoints, block, team):
    """See `mamba_loops.scan_gated_back`."""
    share(_scan_gated_back, (inputs, weights, gradients_in, made, checkpoints, block), team)
