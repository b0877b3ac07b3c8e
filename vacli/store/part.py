"""Writing the arrays of one part row by row, in whole chunks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from vacli.files.disk_space import report_write_errors
from vacli.store import schema


@dataclass
class _GrowingArray:
    """An array that grows by whole chunks of at most `rows_per_chunk` rows.

    It is created with its first chunk: if all rows fit into one, the chunk is no longer than they are,
    because raw chunks take their whole length on disk. create: rows per chunk -> an empty array.
    """

    create: Callable[[int], zarr.Array[Any]]
    rows_per_chunk: int
    pending: list[np.ndarray] = field(default_factory=list)
    count: int = 0
    array: zarr.Array[Any] | None = None

    def append(self, rows: np.ndarray) -> None:
        self.pending.append(rows)
        self.count += len(rows)
        if self.count >= self.rows_per_chunk:
            self.flush(self.count - self.count % self.rows_per_chunk)

    def close(self) -> None:
        if self.array is None:
            self.rows_per_chunk = min(self.rows_per_chunk, max(self.count, 1))
            self.array = self.create(self.rows_per_chunk)
        self.flush(self.count)

    def flush(self, count: int) -> None:
        if not count:
            return
        if self.array is None:
            self.array = self.create(self.rows_per_chunk)
        rows = np.concatenate(self.pending)
        start = self.array.shape[0]
        self.array.resize((start + count, *self.array.shape[1:]))
        self.array[start:] = rows[:count]
        self.pending = [rows[count:]]
        self.count -= count


class PartWriter:
    """Appends rows to the arrays of one part; at most a chunk of each array is in memory.

    path: the final path of the part, for error messages. Writing raises OutputError on a full disk.
    """

    def __init__(self, group: zarr.Group, path: Path) -> None:
        self._group = group
        self._path = path
        self._arrays: dict[str, _GrowingArray] = {}
        self._bytes_written: dict[str, int] = {}
        self._total = 0  # bytes

    def append(self, name: str, rows: np.ndarray, *, dims: Sequence[str] = (), units: str = "") -> None:
        """Append (k, ...) rows, one per frame, to array `name`; `dims` names the axes after the first."""
        rows = np.asarray(rows)
        with self._counted(rows):
            self._array_for(name, rows, ("frame", *dims), units, schema.CHUNK_BYTES).append(rows)

    def append_images(self, name: str, images: Sequence[bytes | None]) -> None:
        """Append encoded images, one per frame; None for a frame without one (size 0)."""
        sizes = np.array([len(image or b"") for image in images], np.int32)
        written = self._bytes_written.get(name, 0)
        starts = written + np.concatenate([[0], np.cumsum(sizes[:-1], dtype=np.int64)])
        self._bytes_written[name] = written + int(sizes.sum())
        self.append(f"{name}_start", starts.astype(np.int64)[: len(sizes)])
        self.append(f"{name}_size", sizes)
        data = np.frombuffer(b"".join(image or b"" for image in images), np.uint8)
        with self._counted(data):
            self._array_for(name, data, (f"{name}_byte",), "", schema.CROP_CHUNK_BYTES).append(data)

    def set(self, **attributes: Any) -> None:
        """Add attributes to the part."""
        self._group.attrs.update(attributes)

    def close(self) -> None:
        """Write the pending rows."""
        with report_write_errors(self._path, self._total):
            for array in self._arrays.values():
                array.close()

    def _counted(self, rows: np.ndarray) -> AbstractContextManager[None]:
        """Count bytes, so that the error of a full disk has the size of the part."""
        self._total += rows.nbytes
        return report_write_errors(self._path, self._total)

    def _array_for(
        self, name: str, rows: np.ndarray, dims: Sequence[str], units: str, limit: int
    ) -> _GrowingArray:
        if name not in self._arrays:
            count = schema.chunk_rows(rows.shape[1:], rows.dtype, limit)
            count = min(count, 1 << 16) if len(dims) == 1 and dims[0] == "frame" else count
            attrs = {"units": units} if units else {}
            shape, dtype = (0, *rows.shape[1:]), rows.dtype
            self._arrays[name] = _GrowingArray(
                lambda chunk: _create(self._group, name, shape, chunk, dtype, dims, attrs), count
            )
        return self._arrays[name]


def _create(
    group: zarr.Group,
    name: str,
    shape: tuple[int, ...],
    rows: int,
    dtype: np.dtype,
    dims: Sequence[str],
    attrs: Mapping[str, Any],
) -> zarr.Array[Any]:
    raw = schema.is_stored_raw(dtype, len(shape)) or dims[0].endswith("_byte")
    return group.create_array(
        name,
        shape=shape,
        chunks=(rows, *shape[1:]),
        dtype=dtype,
        dimension_names=list(dims),
        compressors=None if raw else "auto",
        fill_value=np.nan if dtype.kind == "f" else 0,
        attributes=dict(attrs),
    )


def write_array(
    group: zarr.Group, name: str, values: np.ndarray, dims: Sequence[str], attrs: Mapping[str, object]
) -> None:
    """Write a whole array (N, ...) at once; `dims` names its axes, `attrs` holds JSON values."""
    rows = min(max(len(values), 1), schema.chunk_rows(values.shape[1:], values.dtype))
    array = _create(group, name, values.shape, rows, values.dtype, dims, attrs)
    array[...] = values
