"""Writing the arrays of one part row by row, in whole files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from vacli.files import scratch
from vacli.files.disk_space import report_write_errors
from vacli.store import schema
from vacli.store.layout import ArrayLayout


@dataclass
class _GrowingArray:
    """An array that grows by whole files.

    It is created with its first file: if all rows fit into one, the file is no longer than they are.
    """

    group: zarr.Group
    name: str
    layout: ArrayLayout
    count: int = 0  # pending rows
    array: zarr.Array[Any] | None = None

    def append(self, rows: np.ndarray) -> None:
        while len(rows):
            taken = rows[: self.layout.file_rows - self.count]
            self.pending[self.count : self.count + len(taken)] = taken
            self.count += len(taken)
            rows = rows[len(taken) :]
            if self.count == self.layout.file_rows:
                self.flush()

    def close(self) -> None:
        if self.count or self.array is None:
            self.flush()

    def flush(self) -> None:
        if self.array is None:
            self.array = self.layout.create(self.group, self.name, 0, max(self.count, 1))
        if self.count:
            start = self.array.shape[0]
            self.array.resize((start + self.count, *self.array.shape[1:]))
            self.array[start:] = self.pending[: self.count]
        self.count = 0

    @cached_property
    def pending(self) -> np.ndarray:
        """The rows of a file, of which memory is taken as they are filled."""
        return np.empty((self.layout.file_rows, *self.layout.row_shape), self.layout.dtype)


class PartWriter:
    """Appends rows to the arrays of one part; at most a file of each array is in memory.

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
        attributes = {"units": units} if units else {}
        layout = ArrayLayout.of_rows(rows, (schema.TIME, *dims), attributes)
        with self._counted(rows):
            self._array_for(name, layout).append(rows)

    def append_images(self, name: str, images: Sequence[bytes | None]) -> None:
        """Append encoded images, one per frame; None for a frame without one (size 0)."""
        sizes = np.array([len(image or b"") for image in images], np.int32)
        written = self._bytes_written.get(name, 0)
        starts = written + np.concatenate([[0], np.cumsum(sizes[:-1], dtype=np.int64)])
        self._bytes_written[name] = written + int(sizes.sum())
        self.append(f"{name}_start", starts.astype(np.int64)[: len(sizes)], units="byte")
        self.append(f"{name}_size", sizes, units="byte")
        data = np.frombuffer(b"".join(image or b"" for image in images), np.uint8)
        with self._counted(data):
            self._array_for(name, ArrayLayout.of_images(f"{name}_byte")).append(data)

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

    def _array_for(self, name: str, layout: ArrayLayout) -> _GrowingArray:
        if name not in self._arrays:
            self._arrays[name] = _GrowingArray(self._group, name, layout)
        return self._arrays[name]


def write_array(
    group: zarr.Group, name: str, values: np.ndarray, dims: Sequence[str], attrs: Mapping[str, object]
) -> None:
    """Write a whole array (N, ...) at once; `dims` names its axes, `attrs` holds JSON values.

    Tables of floats stay uncompressed: they are features, which training reads by rows and which hardly
    compress.
    """
    raw = values.dtype.kind == "f" and values.ndim > 1
    layout = ArrayLayout.of_rows(values, tuple(dims), attrs, raw)
    rows = layout.rows_per_file(len(values))
    array = layout.create(group, name, len(values), rows)
    for start in range(0, len(values), rows):
        array[start : start + rows] = values[start : start + rows]
        scratch.release(values)
