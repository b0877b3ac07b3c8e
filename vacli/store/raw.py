"""Reads rows of an uncompressed table from its chunk files directly into an array.

With Zarr v3's `bytes` codec and no other, a chunk file holds the rows as they are in memory
(zarr-specs v3, codecs/bytes), so a range of rows needs one read per chunk and no copy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, Self

import numpy as np

from vacli.errors import StoreError
from vacli.files.store_folder import METADATA_FILE

BYTES_CODEC = {"endian": "little"}


@dataclass(frozen=True)
class RawTable:
    """A two-dimensional array whose chunks are whole, uncompressed rows."""

    path: Path
    rows: int
    columns: int
    chunk_rows: int
    dtype: np.dtype

    @classmethod
    def open(cls, path: Path) -> Self | None:
        """The array at `path`, or None if it has another layout."""
        return cls.of_metadata(path, json.loads((path / METADATA_FILE).read_text()))

    @classmethod
    def of_metadata(cls, path: Path, meta: Mapping[str, Any]) -> Self | None:
        """The array at `path` with this metadata, or None if it has another layout."""
        chunks = meta["chunk_grid"]["configuration"].get("chunk_shape", [])
        plain = (
            [codec["name"] for codec in meta["codecs"]] == ["bytes"]
            and meta["codecs"][0].get("configuration", BYTES_CODEC) == BYTES_CODEC
            and meta["chunk_key_encoding"]["name"] == "default"
            and len(chunks) == 2
            and chunks[1] == meta["shape"][1]
            and meta["data_type"] in ("float16", "float32", "float64")
            and meta["fill_value"] == "NaN"
        )
        if not plain:
            return None
        rows, columns = meta["shape"]
        return cls(path, rows, columns, chunks[0], np.dtype(meta["data_type"]).newbyteorder("<"))

    def read_into(self, start: int, out: np.ndarray) -> None:
        """Copy rows start, start + 1, ... into (n, columns) `out`, cast to its type."""
        if not 0 <= start <= start + len(out) <= self.rows or out.shape[1] != self.columns:
            raise IndexError(f"{self.path}: rows {start}+{out.shape} of ({self.rows}, {self.columns})")
        direct = out.flags.c_contiguous and out.dtype == self.dtype
        rows = out if direct else np.empty(out.shape, self.dtype)
        done = 0
        while done < len(rows):
            chunk, offset = divmod(start + done, self.chunk_rows)
            count = min(self.chunk_rows - offset, len(rows) - done)
            self._read_chunk(chunk, offset, rows[done : done + count])
            done += count
        if not direct:
            out[...] = rows

    def _read_chunk(self, chunk: int, offset: int, rows: np.ndarray) -> None:
        file = f"{self.path}/c/{chunk}/0"
        try:
            with FileIO(file) as stream:
                stream.seek(offset * self.columns * self.dtype.itemsize)
                got = stream.readinto(rows.data.cast("B"))
        except FileNotFoundError:  # a chunk of fill values only has no file
            rows[...] = np.nan
            return
        if got != rows.nbytes:
            raise StoreError(
                f"{file} is cut short: {got} of {rows.nbytes} bytes",
                hint="extract the feature again with --force",
            )
