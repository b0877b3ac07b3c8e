"""Files of a run directory, read only as they were written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from vacli import digests
from vacli.errors import RunError

DAMAGED = "the run is damaged; train again"


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file of a run; raises RunError where it is damaged."""
    try:
        tensors = load(_bytes(path))
    except (SafetensorError, ValueError, KeyError) as error:
        raise unreadable(path, error) from None
    for name, values in tensors.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise RunError(f"{path}: {name} has values that are no numbers", hint=DAMAGED)
    return tensors


def read_json(path: Path) -> Any:
    """A file of a run; raises RunError where it cannot be read."""
    try:
        return json.loads(_bytes(path))
    except ValueError as error:
        raise unreadable(path, error) from None


def _bytes(path: Path) -> bytes:
    """What a file of a run holds, if it is what was written."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from None
    digests.check(path, data)
    return data


def unreadable(path: Path, error: Exception) -> RunError:
    """The error for a file of a run that does not hold what it should."""
    return RunError(f"{path} cannot be read: {error}", hint=DAMAGED)
