"""How a user wants networks to run; apart from `running`, so that asking does not import torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Running:
    """How to run a network, which must not change what it says: `batch_size` None is chosen."""

    device: str = "auto"
    dtype: str = "auto"
    batch_size: int | None = None


AS_IT_FITS = Running()
