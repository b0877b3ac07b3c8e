"""Devices, number formats and batches of networks in torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from vacli.errors import UsageError, nearest
from vacli.runtime.torch_versions import OutOfMemoryError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def pick_device(name: str = "auto") -> torch.device:
    """The device called `name`; `auto` is the GPU if there is one, else the CPU.

    Raises UsageError for a device that cannot be used.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        cause = str(error).splitlines()[0].partition(". ")[0]  # torch goes on with a list of its backends
        raise UsageError(f"device {name!r} cannot be used: {cause}", hint="try --device cpu") from None
    return device


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """The dtype called `name`; `auto` is bfloat16 if the device multiplies it in hardware, else float32."""
    if name == "auto":
        return torch.bfloat16 if multiplies_bfloat16(device) else torch.float32
    if name not in DTYPES:
        raise UsageError(f"unknown dtype {name!r}", hint=nearest(name, ["auto", *DTYPES]))
    return DTYPES[name]


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether the device has units for bfloat16 products; without them they are slower than float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return False
    tiles = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()
    vectors = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
    return bool(tiles or vectors)


def in_batches(
    function: Callable[[np.ndarray], Tensor], crops: np.ndarray, batch_size: int, dim: int
) -> np.ndarray:
    """Apply `function` to slices of `crops`; halve the batch when memory runs out.

    Returns: (N, dim) float32.
    """
    rows = np.empty((len(crops), dim), dtype=np.float32)
    start = 0
    while start < len(crops):
        block = np.require(crops[start : start + batch_size], requirements=["C", "W"])
        try:
            with torch.inference_mode():
                rows[start : start + len(block)] = function(block).float().cpu().numpy()
        except OutOfMemoryError:
            if batch_size == 1:
                raise
            batch_size = max(1, batch_size // 2)
            torch.cuda.empty_cache()
            continue
        start += len(block)
    return rows
