"""Large arrays in temporary files, so that the memory of a process does not grow with a recording's length.

The pages of such an array that a process has used count as its memory until `release`.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np

MIN_BYTES = 4 << 20  # smaller arrays are in memory
BLOCK_BYTES = 4 << 20  # of `blocks`


def empty(shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
    """An array of undefined content; a large one lies in a file, if the disk has room for it."""
    count = int(np.prod(shape))
    size_bytes = count * np.dtype(dtype).itemsize
    if size_bytes < MIN_BYTES or not hasattr(os, "posix_fallocate"):
        return np.empty(shape, dtype)
    with suppress(OSError), tempfile.TemporaryFile() as file:
        os.posix_fallocate(file.fileno(), 0, size_bytes)  # a page that finds no room would end the process
        return np.frombuffer(mmap.mmap(file.fileno(), size_bytes), dtype, count).reshape(shape)
    return np.empty(shape, dtype)


def missing_rows(count: int, dim: int) -> np.ndarray:
    """(count, dim) float32 NaN."""
    values = empty((count, dim))
    for _, block in blocks(values):
        block[:] = np.nan
    return values


def blocks(values: np.ndarray, multiple: int = 1) -> Iterator[tuple[int, np.ndarray]]:
    """Yield views of successive rows with the number of the first, and release each after its use.

    multiple: of the number of rows of each block but the last.
    """
    row_bytes = max(1, values.itemsize * int(np.prod(values.shape[1:])))
    rows = max(1, BLOCK_BYTES // row_bytes // multiple) * multiple
    for start in range(0, len(values), rows):
        yield start, values[start : start + rows]
        release(values)


def return_freed_memory() -> None:
    """Return freed memory to the system, where the C library keeps it for each thread (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def release(values: np.ndarray) -> None:
    """Give back the memory of an array that lies in a file, or of a part of one; it keeps its content."""
    base: Any = values
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, memoryview):
        base = base.obj
    if isinstance(base, mmap.mmap) and hasattr(base, "madvise"):
        base.madvise(mmap.MADV_DONTNEED)
