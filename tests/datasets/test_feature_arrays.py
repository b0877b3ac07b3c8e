"""Files of features are read without unpickling, and their rows are put on the frames of a video."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from vacli.datasets.feature_arrays import FeatureArray, read_array
from vacli.errors import InputError, PackageMissing
from vacli.features.flags import MISSING

ROWS = np.arange(8, dtype=np.float32).reshape(4, 2)
TIMES_S = np.array([0.0, 0.1, 0.2, 0.4])


def write(path: Path, times_s: np.ndarray | None = None) -> Path:
    """A file with ROWS in the format of its suffix."""
    if path.suffix == ".npy":
        np.save(path, ROWS)
    elif path.suffix == ".npz":
        np.savez(path, rows=ROWS, **({} if times_s is None else {"times_s": times_s}))
    else:
        columns = {} if times_s is None else {"time_s": times_s}
        columns |= {"a": ROWS[:, 0], "b": ROWS[:, 1]}
        if path.suffix == ".csv":
            lines = [
                ",".join(columns),
                *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True)),
            ]
            path.write_text("\n".join(lines) + "\n")
        else:
            pyarrow = pytest.importorskip("pyarrow")
            pyarrow.parquet = pytest.importorskip("pyarrow.parquet")
            pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path


@pytest.mark.parametrize("suffix", ["npy", "npz", "csv", "parquet"])
def test_every_format_gives_the_same_rows(tmp_path, suffix):
    array = read_array(write(tmp_path / f"a.{suffix}"))
    np.testing.assert_array_equal(array.values, ROWS)
    assert array.values.dtype == np.float32
    assert array.times_s is None
    assert array.columns == (("a", "b") if suffix in ("csv", "parquet") else ())


@pytest.mark.parametrize("suffix", ["npz", "csv", "parquet"])
def test_times_are_read_beside_the_rows(tmp_path, suffix):
    array = read_array(write(tmp_path / f"a.{suffix}", TIMES_S))
    np.testing.assert_array_equal(array.times_s, TIMES_S)
    np.testing.assert_array_equal(array.values, ROWS)


def test_empty_cells_are_missing_values(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n,4\n")
    array = read_array(tmp_path / "a.csv")
    values, flags = array.on_frames(np.arange(2.0))
    assert flags.tolist() == [0, MISSING]
    assert np.isnan(values[1]).all()


def test_rows_with_times_are_interpolated_and_missing_outside(tmp_path):
    array = FeatureArray(path=tmp_path, values=ROWS, times_s=TIMES_S)
    values, flags = array.on_frames(np.array([-0.1, 0.0, 0.05, 0.3, 0.4, 0.5]))
    np.testing.assert_allclose(values[1:5], [[0, 1], [1, 2], [5, 6], [6, 7]], atol=1e-6)
    assert np.isnan(values[[0, 5]]).all()
    assert flags.tolist() == [MISSING, 0, 0, 0, 0, MISSING]


def test_rows_at_a_rate_begin_at_zero(tmp_path):
    array = FeatureArray(path=tmp_path, values=ROWS).at_rate(10)
    np.testing.assert_allclose(array.times_s, [0, 0.1, 0.2, 0.3])
    with pytest.raises(InputError, match="times of its own"):
        array.at_rate(10)


def test_another_number_of_rows_than_frames_is_refused(tmp_path):
    with pytest.raises(InputError, match="has 4 rows, the video has 5 frames") as caught:
        FeatureArray(path=tmp_path, values=ROWS).on_frames(np.arange(5.0))
    assert "--rate" in caught.value.one_line()


def test_times_in_milliseconds_are_refused(tmp_path):
    array = FeatureArray(path=tmp_path, values=ROWS, times_s=np.array([1000.0, 2000, 3000, 4000]))
    with pytest.raises(InputError, match=r"times from 1000 to 4000 s, the video from 0 to 0\.4 s"):
        array.on_frames(np.arange(5) / 10)


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_objects_are_not_unpickled(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(pickle, "load", pytest.fail)
    objects = np.array([{"a": 1}, None], dtype=object)
    if suffix == "npy":
        np.save(tmp_path / "a.npy", objects, allow_pickle=True)
    else:
        np.savez(tmp_path / "a.npz", rows=objects)
    with pytest.raises(InputError, match=f"a.{suffix} cannot be read"):
        read_array(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.npy", b"no array", "cannot be read"),
        ("a.npz", b"no archive", "cannot be read"),
        ("a.npz", b"PK\x03\x04 no archive", "cannot be read"),
        ("a.csv", b"", "cannot be read"),
        ("a.csv", b"a,b\n1\n", ":2: 1 values under a header of 2"),
        ("a.csv", b"a,b\n1,happy\n", "values in the column 'b' that are not numbers"),
        ("a.csv", b"a,a\n1,2\n", "two columns of one name"),
        ("a.csv", b"time_s\n1\n", "has the shape"),
        ("a.csv", b"time_s,a\n1,1\n0,2\n", "times that do not ascend"),
        ("a.csv", b"time_s,a\n1,1\n,2\n", "times that do not ascend"),
    ],
)
def test_an_unusable_file_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_array(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_a_damaged_archive_is_named(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", rows=ROWS)
    data = bytearray((tmp_path / "a.npz").read_bytes())
    start = data.find(b"rows.npy") + len("rows.npy")
    data[start + 25 : start + 45] = b"\xff" * 20
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(InputError, match=r"a\.npz cannot be read"):
        read_array(tmp_path / "a.npz")


def test_an_archive_with_several_arrays_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=ROWS, y=ROWS)
    with pytest.raises(InputError, match=r"2 arrays without counting times_s: x, y"):
        read_array(tmp_path / "a.npz")


def test_a_vector_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(4))
    with pytest.raises(InputError, match=r"shape \(4,\)"):
        read_array(tmp_path / "a.npy")


def test_parquet_without_pyarrow_names_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(PackageMissing) as caught:
        read_array(tmp_path / "a.parquet")
    assert "pip install 'vacli[parquet]'" in caught.value.one_line()


def test_frames_in_a_gap_of_the_rows_are_missing(tmp_path):
    """A table without the rows of frames in which no face was found."""
    times_s = np.concatenate([np.arange(0, 1, 0.04), np.arange(9.5, 10.5, 0.04)])
    array = FeatureArray(path=tmp_path, values=np.ones((len(times_s), 2), np.float32), times_s=times_s)
    frames_s = np.arange(0, 10.4, 0.04)
    _, flags = array.on_frames(frames_s)
    in_gap = (frames_s > 0.97) & (frames_s < 9.49)
    assert (flags == MISSING).tolist() == in_gap.tolist()
    slow = FeatureArray(path=tmp_path, values=np.ones((11, 2), np.float32), times_s=np.arange(11.0))
    assert not slow.on_frames(frames_s[frames_s <= 10])[1].any()  # one row a second has no gap


def test_a_column_without_values_is_refused(tmp_path):
    values = np.ones((4, 3), np.float32)
    values[:, 1] = np.nan
    values[2, 0] = np.nan
    with pytest.raises(InputError, match="the column gaze has no value"):
        FeatureArray(path=tmp_path, values=values, columns=("a", "gaze", "b")).partly_missing()
    with pytest.raises(InputError, match="the column 1 has no value"):
        FeatureArray(path=tmp_path, values=values).partly_missing()
    partly = FeatureArray(path=tmp_path, values=values[:, [0, 2]]).partly_missing()
    assert np.argwhere(partly).tolist() == [[2, 0]]
    assert not FeatureArray(path=tmp_path, values=np.full((2, 2), np.nan, np.float32)).partly_missing().any()
