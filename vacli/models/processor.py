"""Who made the processor: Intel's library, with which torch multiplies matrices, serves its own best."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

import torch

INTEL, AMD = "GenuineIntel", "AuthenticAMD"


def multiplies_with_mkl_on(vendor: str) -> bool:
    """Whether the processor is one of `vendor`, and torch multiplies with Intel's library (MKL)."""
    return torch.backends.mkl.is_available() and vendor in _description()


@cache
def _description() -> str:
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:  # not Linux
        return platform.processor()
