"""What has other names before torch 2.5. Torch 2.2 is the last one for Macs with a processor of Intel."""

from __future__ import annotations

from collections.abc import Callable

import torch

OutOfMemoryError: type[RuntimeError] = getattr(torch, "OutOfMemoryError", torch.cuda.OutOfMemoryError)
# The function itself, which torch.compile knows.
is_compiling: Callable[[], bool] = getattr(torch.compiler, "is_compiling", None) or torch._utils.is_compiling

if hasattr(torch, "get_autocast_dtype"):

    def autocast_dtype(device: str) -> torch.dtype | None:
        """The dtype of matrix products on a type of device, such as "cuda"; None where autocast is off."""
        return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None

else:

    def autocast_dtype(device: str) -> torch.dtype | None:
        """The dtype of matrix products on a type of device, such as "cuda"; None where autocast is off."""
        if device == "cpu":
            return torch.get_autocast_cpu_dtype() if torch.is_autocast_cpu_enabled() else None
        return torch.get_autocast_gpu_dtype() if torch.is_autocast_enabled() else None
