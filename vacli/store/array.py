"""One array on disk, checked before its rows are used."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import zarr

from vacli.errors import StoreError
from vacli.store import seal
from vacli.store.raw import RawTable

FRAME = "frame"  # name of the axis along which a video's arrays have a row a frame


class StoredArray:
    """An array whose metadata is checked at once and whose chunk files are when first read.

    Every problem is a StoreError with the path and `hint`, which says how the array is made again.
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
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise self.damaged(f"{path}: {error}") from None
        self._meta = meta
        self._sums = None if sums is None else dict(zip(seal.chunk_keys(meta), sums, strict=True))

    @property
    def sealed(self) -> bool:
        """Whether it is known which chunk files there have to be, and what is in them."""
        return self._sums is not None

    @property
    def is_by_frame(self) -> bool:
        """Whether its rows are the video's frames."""
        return (self._meta.get("dimension_names") or [None])[0] == FRAME

    def damaged(self, reason: object) -> StoreError:
        """The error for something that is wrong with it."""
        return StoreError(f"{' '.join(str(reason).split())}", hint=self._hint)

    def read(self, rows: slice = slice(None)) -> np.ndarray:
        """Rows of the array, all by default."""
        self._check(rows)
        try:
            return np.asarray(self._zarr[rows])
        except Exception as error:  # Zarr and its codecs raise anything at damaged bytes
            raise self.damaged(f"{self.path}: {type(error).__name__}: {error}") from error

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
            raise self.damaged(error) from None

    def check(self) -> None:
        """Check all chunk files now."""
        self._check(slice(None))

    def absent_rows(self) -> list[slice]:
        """Rows of the chunks that have no file, and so hold the fill value or are lost."""
        step = self.chunk_rows
        keys = enumerate(seal.chunk_keys(self._meta))
        return [slice(i * step, (i + 1) * step) for i, key in keys if not (self.path / key).is_file()]

    def _check(self, rows: slice) -> None:
        if self._sums is None:
            return
        start, stop, _ = rows.indices(self.shape[0])
        for number in range(start // self.chunk_rows, -(-stop // self.chunk_rows)):
            if number not in self._checked:
                self._check_chunks(range(number * self.chunk_rows, (number + 1) * self.chunk_rows))
                self._checked.add(number)

    def _check_chunks(self, rows: range) -> None:
        for key in seal.chunk_keys(self._meta, rows):
            if found := seal.problem(self.path / key, self._sums[key]):
                raise self.damaged(found)

    @cached_property
    def _zarr(self) -> zarr.Array:
        return zarr.open_array(str(self.path), mode="r")

    @cached_property
    def _table(self) -> RawTable | None:
        try:
            return RawTable.open(self.path)
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise self.damaged(f"{self.path}: {error}") from None
