"""One array on disk, whose metadata and chunk files are checked before use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from vacli.errors import StoreError
from vacli.store import schema, seal
from vacli.store.raw import RawTable

MAX_OVERREAD = 4  # one read of up to this many times the needed bytes is faster than single reads
OLD_TIME = "frame"  # name of that axis in earlier stores
FRAME_AXES = ((schema.TIME,), (OLD_TIME,))  # first axis of arrays with one row per frame


class StoredArray:
    """An array. Its metadata is checked when it is opened, a chunk file when it is first read.

    Every problem is a StoreError with the path and `hint`, the command that makes the array again.
    """

    def __init__(self, path: Path, hint: str) -> None:
        self.path = path
        self._hint = hint
        self._checked: set[int] = set()  # along the first axis
        try:
            meta = seal.read(path)
            self.shape = tuple(length for length, _ in seal.grid(meta))
            self.chunk_rows = seal.grid(meta)[0][1]
            sums: Sequence[int | None] | None = meta["attributes"].get(seal.CHUNKS)
            self.dtype = np.dtype(meta["data_type"])
            self.dims = tuple(map(str, meta.get("dimension_names") or ()))
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise self.damage_error(f"{path}: {error}") from None
        self._meta = meta
        self._checksums = None if sums is None else dict(zip(seal.chunk_keys(meta), sums, strict=True))

    @property
    def has_checksums(self) -> bool:
        """Whether the metadata lists the checksums of its chunk files."""
        return self._checksums is not None

    @property
    def is_per_frame(self) -> bool:
        """Whether it has one row per frame of the video."""
        return self.dims[:1] in FRAME_AXES

    def damage_error(self, reason: object) -> StoreError:
        """The error for a damaged array."""
        return StoreError(f"{' '.join(str(reason).split())}", hint=self._hint)

    def read(self, rows: slice = slice(None)) -> np.ndarray:
        """Rows of the array, all by default."""
        self._check(rows)
        try:
            return np.asarray(self._zarr[rows])
        except Exception as error:  # Zarr and its codecs raise anything at damaged bytes
            raise self.damage_error(f"{self.path}: {type(error).__name__}: {error}") from error

    def read_into(self, start: int, out: np.ndarray) -> None:
        """Copy rows start, start + 1, ... of a float table into (n, D) `out`."""
        rows = slice(start, start + len(out))
        if self._table is None:
            out[...] = self.read(rows)
            return
        self._check(rows)
        try:
            self._table.read_into(start, out)
        except IndexError as error:
            raise self.damage_error(error) from None

    def check(self) -> None:
        """Check all chunk files. Raises StoreError."""
        self._check(slice(None))

    def absent_rows(self) -> list[slice]:
        """Rows of the chunks without a file: they hold the fill value or are lost."""
        step = self.chunk_rows
        keys = enumerate(seal.chunk_keys(self._meta))
        return [slice(i * step, (i + 1) * step) for i, key in keys if not (self.path / key).is_file()]

    def _check(self, rows: slice) -> None:
        if self._checksums is None:
            return
        start, stop, _ = rows.indices(self.shape[0])
        for number in range(start // self.chunk_rows, -(-stop // self.chunk_rows)):
            if number not in self._checked:
                first = number * self.chunk_rows
                self._check_chunks(range(first, first + self.chunk_rows), self._checksums)
                self._checked.add(number)

    def _check_chunks(self, rows: range, checksums: Mapping[str, int | None]) -> None:
        for key in seal.chunk_keys(self._meta, rows):
            if problem := seal.chunk_problem(self.path / key, checksums[key]):
                raise self.damage_error(problem)

    @cached_property
    def _zarr(self) -> zarr.Array[Any]:
        return zarr.open_array(str(self.path), mode="r")

    @cached_property
    def _table(self) -> RawTable | None:
        try:
            return RawTable.open(self.path)
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise self.damage_error(f"{self.path}: {error}") from None


def group_nearby(rows: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> Iterator[np.ndarray]:
    """All `rows` in one group if their bytes are close to each other, else one group per row."""
    span = (starts[rows] + sizes[rows]).max() - starts[rows].min()
    close = span <= MAX_OVERREAD * sizes[rows].sum()
    yield from [rows] if close else rows[:, np.newaxis]
