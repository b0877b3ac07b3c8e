"""Weights and training state on disk: whole or not there, and never executed when read."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save_file as save_arrays

from vacli.errors import RunError

if TYPE_CHECKING:
    from torch import Tensor

LAST = "last.safetensors"
STATE = "training_state.pt"
METRICS = "metrics.jsonl"


def write_atomic(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a file beside `path`, then rename it: readers see the old or the new, whole.

    The file beside has one name, so that what a killed process left there is overwritten by the next.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        write(part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a small text file atomically."""
    write_atomic(path, lambda part: _write_text(part, text))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON value atomically, indented."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, str] | None = None) -> None:
    """Write named tensors atomically as safetensors; `about` goes into the file's metadata."""
    from safetensors.torch import save_file

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomic(path, lambda part: save_file(plain, part, dict(about or {})))


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named numpy arrays atomically as safetensors."""
    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_atomic(path, lambda part: save_arrays(plain, part))


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write training state (tensors, numbers, strings in dicts and lists) atomically."""
    import torch

    write_atomic(path, lambda part: torch.save(dict(state), part))


def read_state(path: Path) -> dict[str, Any]:
    """Read what `write_state` wrote; nothing but tensors and plain values is ever unpickled."""
    import torch

    hint = "start afresh without --resume"
    if not path.is_file():
        raise RunError(f"{path}: no training state", hint=hint)
    if not zipfile.is_zipfile(path):
        raise RunError(f"{path}: not a training state, or cut off", hint=hint)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError) as error:
        raise RunError(f"{path}: not a training state: {error}", hint=hint) from None
