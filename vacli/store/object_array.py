"""Arrays in an object store: chunks are read as whole objects and decoded by Zarr from memory.

The chunks that were read last are kept, so that a chunk is not read once for its checksum and again for its
rows. Rows of an uncompressed table are read by ranges once its chunk has been checked.
"""

from __future__ import annotations

import json
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np
import zarr
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

from vacli.errors import StoreError
from vacli.files.object_path import ObjectPath
from vacli.files.store_folder import METADATA_FILE
from vacli.store import seal
from vacli.store.array import StoredArray
from vacli.store.raw import RawTable

CACHE_BYTES = 64 << 20  # of chunks in memory, in a process


class _ChunkCache:
    """The chunks that were used last, by their URL and checksum."""

    def __init__(self) -> None:
        self._chunks: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    def clear(self) -> None:
        with self._lock:
            self._chunks.clear()
            self._size = 0

    def get(self, url: str, checksum: int) -> bytes | None:
        with self._lock:
            data = self._chunks.get((url, checksum))
            if data is not None:
                self._chunks.move_to_end((url, checksum))
            return data

    def put(self, url: str, checksum: int, data: bytes) -> None:
        with self._lock:
            if (url, checksum) not in self._chunks:
                self._chunks[url, checksum] = data
                self._size += len(data)
            while self._size > CACHE_BYTES:
                self._size -= len(self._chunks.popitem(last=False)[1])


_cache = _ChunkCache()


class ObjectArray(StoredArray):
    """An array in an object store; its chunks are compared with their checksums when they are read."""

    path: ObjectPath

    def read(self, rows: slice = slice(None)) -> np.ndarray:
        """Rows of the array, all by default."""
        start, stop, _ = rows.indices(self.shape[0])
        found = {key: self._chunk(key) for key in seal.chunk_keys(self._meta, range(start, max(start, stop)))}
        buffer = default_buffer_prototype().buffer
        files = {METADATA_FILE: json.dumps(self._meta).encode(), **{k: d for k, d in found.items() if d}}
        try:
            store = MemoryStore({key: buffer.from_bytes(data) for key, data in files.items()}, read_only=True)
            return np.asarray(zarr.open_array(store, mode="r")[rows])
        except Exception as error:  # Zarr and its codecs raise anything at damaged bytes
            raise self.damage_error(f"{self.path}: {type(error).__name__}: {error}") from error

    def _check_chunks(self, rows: range, checksums: Mapping[str, int | None]) -> None:
        for key in seal.chunk_keys(self._meta, rows):
            self._chunk(key)

    def _chunk(self, key: str) -> bytes | None:
        """The bytes of a chunk, None for one of fill values only. Raises StoreError if it is damaged."""
        file = self.path / key
        expected = None if self._checksums is None else self._checksums[key]
        if self._checksums is not None and expected is None:
            return None
        if expected is not None and (known := _cache.get(str(file), expected)) is not None:
            return known
        try:
            data = file.read_bytes()
        except FileNotFoundError:
            if expected is None:
                return None
            raise self.damage_error(f"{file} is missing") from None
        if expected is not None:
            if zlib.crc32(data) != expected:
                raise self.damage_error(f"{file} has been changed or cut short")
            _cache.put(str(file), expected, data)
        return data

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Bytes of a chunk, from memory or by one request. Raises FileNotFoundError if it is absent."""
        checksum = (self._checksums or {}).get(key)
        known = None if checksum is None else _cache.get(str(self.path / key), checksum)
        if known is not None:
            return known[start : start + length]
        return (self.path / key).read_range(start, length)

    @cached_property
    def _table(self) -> RawTable | None:
        try:
            table = RawTable.of_metadata(self.path, self._meta)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise self.damage_error(f"{self.path}: {error}") from None
        return None if table is None else _ObjectTable(**vars(table), array=self)


@dataclass(frozen=True)
class _ObjectTable(RawTable):
    """An uncompressed table whose rows are read by ranges, or from a chunk that is in memory."""

    array: ObjectArray

    def _read_chunk(self, chunk: int, offset: int, rows: np.ndarray) -> None:
        key = f"c/{chunk}/0"
        try:
            data = self.array.read_range(key, offset * self.columns * self.dtype.itemsize, rows.nbytes)
        except FileNotFoundError:  # a chunk of fill values only has no object
            rows[...] = np.nan
            return
        if len(data) != rows.nbytes:
            raise StoreError(
                f"{self.path / key} is cut short: {len(data)} of {rows.nbytes} bytes",
                hint="extract the feature again with --force",
            )
        rows[...] = np.frombuffer(data, self.dtype).reshape(rows.shape)


def array_at(path: Path, hint: str) -> StoredArray:
    """The array at a local path or in an object store."""
    return ObjectArray(path, hint) if isinstance(path, ObjectPath) else StoredArray(path, hint)
