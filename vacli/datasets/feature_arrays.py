"""A user's own features in files: one file a video, one row a frame or rows on a clock of their own.

NumPy arrays (npy, npz), text tables (CSV) and Parquet files are read; no file is unpickled.
"""

from __future__ import annotations

import csv
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vacli.clock import interpolate
from vacli.errors import InputError
from vacli.features.flags import MISSING
from vacli.packages import needed_by

TIME_COLUMN = "time_s"  # of a table
TIMES_ARRAY = "times_s"  # of an npz file
SLACK_S = 1e-6  # rounding of times
GAP_S, GAP_STEPS = 0.5, 3.0  # a longer step between two rows, also in median steps, is a gap without values


@dataclass(frozen=True, eq=False, kw_only=True)
class FeatureArray:
    """The rows of one file.

    values: (R, D) float32, NaN where missing. times_s: (R,) float64 ascending, None where row i is frame i.
    columns: the D names of a table's columns, () for an array.
    """

    path: Path
    values: np.ndarray
    times_s: np.ndarray | None = None
    columns: tuple[str, ...] = ()

    def at_rate(self, rate_hz: float) -> FeatureArray:
        """The same rows at a fixed rate, the first one at 0 s. InputError if they have times already."""
        if self.times_s is not None:
            raise InputError(f"{self.path} has times of its own", hint="leave out --rate")
        times_s = np.arange(len(self.values)) / rate_hz
        return FeatureArray(path=self.path, values=self.values, times_s=times_s, columns=self.columns)

    def on_frames(self, frames_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rows at the frames of a video: linear between rows with times, missing outside and in gaps.

        frames_s: (N,) seconds. Returns: (N, D) float32 and (N,) uint8 flags; a row with a value that is not
        finite is NaN and MISSING. Raises InputError if the number of rows is not that of the frames, or if
        no frame lies within the times.
        """
        values = self.values if self.times_s is None else self._resampled(frames_s, self.times_s)
        if len(values) != len(frames_s):
            raise InputError(
                f"{self.path} has {len(values)} rows, the video has {len(frames_s)} frames",
                hint=f"add a column {TIME_COLUMN}, or give the rate of the rows with --rate HZ",
            )
        missing = ~np.isfinite(values).all(axis=1)
        rows = np.where(missing[:, np.newaxis], np.nan, values).astype(np.float32)
        return rows, np.where(missing, MISSING, 0).astype(np.uint8)

    def partly_missing(self) -> np.ndarray:
        """(R, D) bool: values that are missing in rows with others.

        Raises InputError for a column without any value, which would make all rows missing.
        """
        known = np.isfinite(self.values)
        if known.any() and not known.any(axis=0).all():
            number = int(np.argmin(known.any(axis=0)))
            name = self.columns[number] if self.columns else str(number)
            raise InputError(f"{self.path}: the column {name} has no value", hint="leave it out of all files")
        return ~known & known.any(axis=1)[:, np.newaxis]

    def _resampled(self, frames_s: np.ndarray, times_s: np.ndarray) -> np.ndarray:
        outside = (frames_s < times_s[0] - SLACK_S) | (frames_s > times_s[-1] + SLACK_S)
        if outside.all():
            raise InputError(
                f"{self.path} has times from {times_s[0]:g} to {times_s[-1]:g} s, the video from "
                f"{frames_s[0]:g} to {frames_s[-1]:g} s",
                hint="times are seconds from the start of the video",
            )
        unknown = outside | _in_gaps(frames_s, times_s)
        return np.where(unknown[:, np.newaxis], np.nan, interpolate(frames_s, times_s, self.values))


def _in_gaps(frames_s: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """(N,) bool: frames between two rows that are too far from each other."""
    steps_s = np.diff(times_s)
    if not len(steps_s):
        return np.zeros(len(frames_s), bool)
    is_gap = steps_s > max(GAP_S, GAP_STEPS * float(np.median(steps_s)))
    after = np.searchsorted(times_s, frames_s - SLACK_S).clip(1, len(steps_s))
    inside = (frames_s > times_s[after - 1] + SLACK_S) & (frames_s < times_s[after] - SLACK_S)
    return inside & is_gap[after - 1]


def read_array(path: Path) -> FeatureArray:
    """Read a file of features. Raises InputError if it is not one, PackageMissing for Parquet."""
    array = READERS[path.suffix.lower()](path)
    values, times_s = array.values, array.times_s
    if values.ndim != 2 or not values.shape[0] or not values.shape[1]:
        raise InputError(f"{path} has the shape {values.shape}", hint="give rows x columns")
    if times_s is not None:
        if times_s.shape != (len(values),):
            raise InputError(f"{path} has {len(values)} rows and times of the shape {times_s.shape}")
        if not np.isfinite(times_s).all() or (np.diff(times_s) <= 0).any():
            raise InputError(f"{path} has times that do not ascend", hint="sort its rows by time")
    return array


def _read_numpy(path: Path) -> FeatureArray:
    """An npy file of rows x columns, or an npz file with one such array and times in `times_s`."""
    found = _load(path)
    times_s = found.pop(TIMES_ARRAY, None)
    if len(found) != 1:
        raise InputError(
            f"{path} has {len(found)} arrays without counting {TIMES_ARRAY}: {', '.join(sorted(found))}",
            hint="keep the one with the rows of the feature",
        )
    (values,) = found.values()
    return FeatureArray(
        path=path,
        values=_numbers(path, values),
        times_s=None if times_s is None else _numbers(path, times_s, np.float64),
    )


def _load(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name; an npy file has one."""
    try:
        with open(path, "rb") as stream:
            content = np.load(stream, allow_pickle=False)
            return {"": content} if isinstance(content, np.ndarray) else dict(content)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise _unreadable(path, error) from None


def _read_csv(path: Path) -> FeatureArray:
    try:
        with open(path, encoding="utf-8-sig", newline="") as stream:
            header, *rows = [row for row in csv.reader(stream) if row]
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise _unreadable(path, error) from None
    for line, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise InputError(f"{path}:{line}: {len(row)} values under a header of {len(header)}")
    names = [name.strip() for name in header]
    return _of_columns(path, {name: [row[i] for row in rows] for i, name in enumerate(names)}, names)


def _read_parquet(path: Path) -> FeatureArray:
    with needed_by(f"{path.name} (a Parquet file)"):
        from pyarrow import ArrowException, parquet
    try:
        table = parquet.read_table(path)
    except (ArrowException, OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    return _of_columns(path, columns, table.column_names)


def _of_columns(path: Path, columns: Mapping[str, Sequence[object]], header: Sequence[str]) -> FeatureArray:
    """A table with a name for each column; empty cells are NaN."""
    if len(columns) != len(header):
        raise InputError(f"{path} has two columns of one name: {', '.join(header)}")
    numbers = {
        name: _numbers(path, [np.nan if cell in (None, "") else cell for cell in cells], np.float64, name)
        for name, cells in columns.items()
    }
    times_s = numbers.pop(TIME_COLUMN, None)
    values = np.stack(list(numbers.values()), axis=1) if numbers else np.empty((0, 0))
    return FeatureArray(path=path, values=values.astype(np.float32), times_s=times_s, columns=tuple(numbers))


def _numbers(
    path: Path, values: object, dtype: type[np.floating] = np.float32, column: str = ""
) -> np.ndarray:
    try:
        return np.asarray(values).astype(dtype)
    except (ValueError, TypeError) as error:
        where = f" in the column {column!r}" if column else ""
        raise InputError(
            f"{path} has values{where} that are not numbers: {error}", hint="leave out columns of text"
        ) from None


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} cannot be read: {error}", hint="give npy, npz, CSV or Parquet files")


READERS: dict[str, Callable[[Path], FeatureArray]] = {
    ".npy": _read_numpy,
    ".npz": _read_numpy,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
