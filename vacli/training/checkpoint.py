"""Weights and training state on disk: written completely or not at all, and never executed when read.

Files are flushed to the disk before they take their names, so that even a machine that loses its power has
the old or the new one. Writing raises OutputError where the disk is full or may not be written to.
"""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save as save_arrays

from vacli.errors import RunError
from vacli.files import atomic, digests

if TYPE_CHECKING:
    from torch import Tensor

StagedFile = Callable[[Path, int], AbstractContextManager[Path]]  # as `atomic.staged_file`

STATE_FILE = "training_state.pt"
State = dict[str, Any]  # tensors and plain values; torch.save takes any


def write_text(path: Path, text: str) -> None:
    """Write a small text file."""
    atomic.write_text(path, text)


def write_json(path: Path, value: object) -> None:
    """Write a JSON value, indented."""
    atomic.write_bytes(path, json_bytes(value))


def json_bytes(value: object) -> bytes:
    """A JSON value, indented, as the content of a file."""
    return (json.dumps(value, indent=2) + "\n").encode("utf-8")


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, str] | None = None) -> None:
    """Write named tensors as safetensors; `about` goes into the file's metadata."""
    _write(path, tensors, about, atomic.staged_file)


def write_weights(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, str] | None = None) -> None:
    """As `write_tensors`, and record the digest among the run's files."""
    _write(path, tensors, about, digests.staged_file)


def arrays_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Named numpy arrays as the content of a safetensors file."""
    return save_arrays({name: np.ascontiguousarray(array) for name, array in arrays.items()})


def write_state(path: Path, state: Mapping[str, object]) -> None:
    """Write training state (tensors, numbers, strings in dicts and lists)."""
    import torch

    with atomic.staged_file(path, _size(state)) as part:
        torch.save(dict(state), part)


def read_state(path: Path) -> State:
    """Read the state from `write_state`; only tensors and plain values are unpickled."""
    import torch

    hint = "train again without --resume"
    if not path.is_file():
        raise RunError(f"{path}: no training state", hint=hint)
    if not zipfile.is_zipfile(path):
        raise RunError(f"{path}: not a training state, or incomplete", hint=hint)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError) as error:
        raise RunError(f"{path}: not a training state: {error}", hint=hint) from None


def _write(
    path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, str] | None, staged_file: StagedFile
) -> None:
    from safetensors.torch import save_file

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with staged_file(path, _size(plain)) as part:
        # One entry: safetensors writes several in random order, and files must be equal bit by bit.
        save_file(plain, part, {"about": json.dumps(dict(about or {}))})


def _size(value: object) -> int:
    """Bytes of the tensors in a state."""
    if isinstance(value, Mapping):
        return sum(map(_size, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(_size, value))
    return int(getattr(value, "nbytes", 0))
