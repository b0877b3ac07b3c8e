"""How and where a user wants networks to run; apart from `running`, so that asking does not import torch."""

from __future__ import annotations

from dataclasses import dataclass

from vacli.packages import installed, needed_by


@dataclass(frozen=True, kw_only=True)
class Running:
    """How to run a network, which must not change what it says: `batch_size` None is chosen."""

    device: str = "auto"
    dtype: str = "auto"
    batch_size: int | None = None


AS_IT_FITS = Running()


def device_name(asked: str = "auto") -> str:
    """The device to run on, by torch's name for it; `auto` is the GPU where torch is installed and finds one.

    Raises: PackageMissing without torch for another device than the CPU, UsageError for one that is absent.
    """
    if asked == "cpu" or (asked == "auto" and not installed("torch")):
        return "cpu"
    with needed_by(f"--device {asked}"):
        from vacli.runtime.devices import pick_device

        return str(pick_device(asked))
