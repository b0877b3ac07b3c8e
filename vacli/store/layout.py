"""How the arrays of a store lie on disk: chunks, shards and codecs.

A chunk file takes its whole length on disk, so that a chunk is never longer than its array. Tables that
training reads by rows are not compressed (`raw`). All other arrays are compressed without loss: numbers by
Zstandard after a shuffle of their bytes, which made the boxes, landmarks and scores of 16 clips 35 % smaller
(Zstandard alone: 20 %, bit shuffle: 27 %); JPEG images by its fastest level, which removes 3 %, since their
headers are alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec

CHUNK_BYTES = 4 << 20  # large enough to stream, small enough to pick windows from
CHUNK_ROWS = 1 << 16  # of one number a row
FILE_BYTES = 16 << 20  # of encoded images in one file
IMAGE_CHUNK_BYTES = 1 << 18  # images are also read one by one


@dataclass(frozen=True)
class ArrayLayout:
    """One array. shape, dtype: of its rows. dims: names of its axes. raw: without compression.

    file_rows: rows in one file at most. chunk_rows: rows that are read at once, at most.
    """

    row_shape: tuple[int, ...]
    dtype: np.dtype
    dims: tuple[str, ...]
    file_rows: int
    chunk_rows: int
    raw: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_rows(
        cls, rows: np.ndarray, dims: tuple[str, ...], attributes: Mapping[str, Any], raw: bool = False
    ) -> ArrayLayout:
        """The layout for (k, ...) rows of numbers."""
        count = max(1, CHUNK_BYTES // (math.prod(rows.shape[1:]) * rows.dtype.itemsize))
        count = min(count, CHUNK_ROWS) if rows.ndim == 1 else count
        return cls(rows.shape[1:], rows.dtype, dims, count, count, raw, attributes)

    @classmethod
    def of_images(cls, dim: str) -> ArrayLayout:
        """The layout for the bytes of encoded images."""
        return cls((), np.dtype(np.uint8), (dim,), FILE_BYTES, IMAGE_CHUNK_BYTES)

    def create(self, group: zarr.Group, name: str, length: int, rows: int) -> zarr.Array[Any]:
        """Create an array of `length` rows in files of at most `rows` rows."""
        chunk = min(self.chunk_rows, rows)
        file = -(-rows // chunk) * chunk
        return group.create_array(
            name,
            shape=(length, *self.row_shape),
            chunks=(chunk, *self.row_shape),
            shards=(file, *self.row_shape) if file > chunk else None,
            dtype=self.dtype,
            dimension_names=list(self.dims),
            compressors=None if self.raw else self._codec(),
            fill_value=np.nan if self.dtype.kind == "f" else 0,
            attributes=dict(self.attributes),
        )

    def rows_per_file(self, length: int) -> int:
        """Rows in each file of an array of known length: files of equal length, so that none has a gap."""
        files = max(1, -(-length // self.file_rows))
        return max(1, -(-length // files))

    def _codec(self) -> BloscCodec:
        size = self.dtype.itemsize
        if self.dims[0].endswith("_byte"):
            return BloscCodec(typesize=1, cname="zstd", clevel=1, shuffle="noshuffle")
        return BloscCodec(
            typesize=size, cname="zstd", clevel=5, shuffle="shuffle" if size > 1 else "noshuffle"
        )
