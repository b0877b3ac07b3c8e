"""The selective scan: one function that uses the fastest backend available."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module

import torch
from torch import Tensor

from vacli.errors import UsageError, nearest
from vacli.runtime.torch_versions import OutOfMemoryError

Scan = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]

BACKENDS = {
    "reference": "vacli.models.scan_reference",
    "numba": "vacli.models.scan_numba",
    "triton": "vacli.models.scan_triton",
    "mamba_ssm": "vacli.models.scan_mamba_ssm",
}
OPTIONAL = "mamba_ssm"  # compiled by the user; it may be importable and still fail when it is called
log = logging.getLogger("vacli")


def selective_scan(
    x: Tensor,
    dt: Tensor,
    a: Tensor,
    b: Tensor,
    c: Tensor,
    state: Tensor | None = None,
    backend: str | None = None,
) -> tuple[Tensor, Tensor]:
    """h_t = exp(dt_t a) h_(t-1) + dt_t x_t b_t, y_t = c_t . h_t (scan_reference has the source).

    x, dt (B, L, E); a (E, N) <= 0; b, c (B, L, N); state before the first step (B, E, N), None: zeros
    -> y (B, L, E) in the type of x, and the last state (B, E, N). All is computed in float32 (float64 if
    x is), also inside autocast. `backend` names one of BACKENDS; None: the fastest one available. If the
    scan of mamba_ssm fails, the next one is used from then on, and a warning is logged.
    """
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    scan = _load(backend) if backend else fastest(x.device.type, dtype, fresh=state is None)
    if scan is None:
        raise UsageError(
            f"the scan backend {backend!r} is not available", hint=nearest(str(backend), BACKENDS)
        )
    is_optional = not backend and scan.__module__ == BACKENDS[OPTIONAL]
    first = a.new_zeros(x.shape[0], *a.shape) if state is None else state
    with torch.autocast(x.device.type, enabled=False):
        inputs = [t.to(dtype) for t in (x, dt, a, b, c, first)]
        try:
            y, last = scan(*inputs)
        except OutOfMemoryError:
            raise
        except Exception as error:
            if not is_optional:
                raise
            _give_up_optional(error)
            return selective_scan(x, dt, a, b, c, state)
    return y.to(x.dtype), last


_failed: set[str] = set()  # backends that failed when they were called


def _give_up_optional(error: Exception) -> None:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    log.warning("mamba_ssm failed (%s); another scan is used, install mamba-ssm for this torch", reason)
    _failed.add(OPTIONAL)


def fastest(device: str, dtype: torch.dtype, *, fresh: bool) -> Scan:
    """The best scan for a device; `fresh`: the state before the first step is zero."""
    found = (_load(name) for name in _candidates(device, dtype, fresh) if name not in _failed)
    return next(scan for scan in found if scan is not None)


def _candidates(device: str, dtype: torch.dtype, fresh: bool) -> Iterator[str]:
    """Names of the backends for a device, the fastest first."""
    if dtype == torch.float32 and device == "cuda":
        yield from (OPTIONAL, "triton") if fresh else ("triton",)
    elif dtype == torch.float32 and device == "cpu":
        yield "numba"
    yield "reference"


@cache
def _load(name: str) -> Scan | None:
    """A backend's scan, imported at its first use; None if it does not exist or cannot be imported.

    Any exception counts: the compiled parts of mamba_ssm raise various ones when they were built for
    another torch. The reference is always available.
    """
    try:
        return import_module(BACKENDS[name]).scan
    except Exception:
        return None
