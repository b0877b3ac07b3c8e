"""Execution options of networks, importable without torch."""

from __future__ import annotations

from dataclasses import dataclass

from vacli.packages import installed, needed_by


@dataclass(frozen=True, kw_only=True)
class ExecutionOptions:
    """Device, number format and batch size of a network; `batch_size` None is chosen by the device.

    The outputs do not depend on these options, except for rounding.
    """

    device: str = "auto"
    dtype: str = "auto"
    batch_size: int | None = None


DEFAULT_EXECUTION = ExecutionOptions()


def device_name(requested: str = "auto") -> str:
    """Torch's name of the device to run on; `auto` is the GPU if torch is installed and finds one.

    Raises: PackageMissing without torch for another device than the CPU, UsageError for one that is absent.
    """
    if requested == "cpu" or (requested == "auto" and not installed("torch")):
        return "cpu"
    with needed_by(f"--device {requested}"):
        from vacli.runtime.devices import pick_device

        return str(pick_device(requested))
