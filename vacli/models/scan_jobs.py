"""The passes of `scan_loops`, whose jobs a team of threads shares; see `runtime.shared_jobs.share`."""

# mypy: allow-untyped-defs
# The types of these functions are numba's.

from __future__ import annotations

from vacli.models import scan_loops
from vacli.models.scan_loops import loops
from vacli.runtime.shared_jobs import share

_forward, _backward = scan_loops.forward, scan_loops.backward


@loops(nogil=True)
def forward(inputs, outputs, checkpoints, stride, block, team):
    """See `scan_loops.forward`."""
    share(_forward, (inputs, outputs, checkpoints, stride, block), team)


@loops(nogil=True)
def backward(inputs, gradients_in, gradients, checkpoints, stride, block, team):
    """See `scan_loops.backward`."""
    share(_backward, (inputs, gradients_in, gradients, checkpoints, stride, block), team)
