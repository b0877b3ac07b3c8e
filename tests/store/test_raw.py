"""Rows read from chunk files are those that Zarr reads, whatever the layout."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import zarr
from synth.stores import add_video, empty, put_feature

from vacli.errors import StoreError
from vacli.store.raw import RawTable


def table(path, values: np.ndarray, rows: int, **keys) -> RawTable | None:
    array = zarr.create_array(
        str(path),
        shape=values.shape,
        chunks=(rows, *values.shape[1:]),
        dtype=values.dtype,
        fill_value=np.nan,
        **{"compressors": None, **keys},
    )
    array[...] = values
    return RawTable.open(path)


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(23, 5)).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("rows", [1, 4, 23, 50])
def test_every_range_equals_zarr(tmp_path, values, dtype, rows):
    made = table(tmp_path / "a", values.astype(dtype), rows)
    reference = zarr.open_array(str(tmp_path / "a"), mode="r")
    for start, count in [(0, 23), (0, 0), (3, 9), (22, 1), (23, 0)]:
        out = np.empty((count, 5), np.float32)
        made.read_into(start, out)
        np.testing.assert_array_equal(out, reference[start : start + count].astype(np.float32))


def test_part_of_a_wider_array_can_be_filled(tmp_path, values):
    out = np.zeros((23, 9), np.float32)
    table(tmp_path / "a", values, 4).read_into(0, out[:, 2:7])
    np.testing.assert_array_equal(out[:, 2:7], values)
    assert not out[:, :2].any()
    assert not out[:, 7:].any()


def test_a_chunk_of_nan_may_have_no_file(tmp_path, values):
    values[8:12] = np.nan
    made = table(tmp_path / "a", values, 4)
    chunk = tmp_path / "a" / "c" / "2"
    if chunk.exists():
        (chunk / "0").unlink()
    out = np.empty_like(values)
    made.read_into(0, out)
    np.testing.assert_array_equal(out, values)


def test_a_chunk_that_is_cut_short_is_named(tmp_path, values):
    made = table(tmp_path / "a", values, 4)
    file = tmp_path / "a" / "c" / "1" / "0"
    file.write_bytes(file.read_bytes()[:30])
    with pytest.raises(StoreError, match=r"c/1/0 is cut short: 30 of 80 bytes"):
        made.read_into(0, np.empty_like(values))


@pytest.mark.parametrize(("start", "count", "columns"), [(20, 4, 5), (-1, 2, 5), (0, 2, 4)])
def test_rows_beyond_the_end_are_refused(tmp_path, values, start, count, columns):
    with pytest.raises(IndexError):
        table(tmp_path / "a", values, 4).read_into(start, np.empty((count, columns), np.float32))


@pytest.mark.parametrize(
    "keys", [{"compressors": "auto"}, {"chunks": (4, 2)}, {"chunk_key_encoding": {"name": "v2"}}]
)
def test_other_layouts_are_left_to_zarr(tmp_path, values, keys):
    chunks = keys.pop("chunks", (4, 5))
    array = zarr.create_array(
        str(tmp_path / "a"),
        shape=values.shape,
        chunks=chunks,
        dtype="float32",
        fill_value=np.nan,
        **{"compressors": None, **keys},
    )
    array[...] = values
    assert RawTable.open(tmp_path / "a") is None


def test_store_reads_compressed_tables_too(tmp_path, values):

    store = empty(tmp_path / "s.zarr")
    add_video(store, "v", 23)
    put_feature(store, "v", "x", values)
    folder = tmp_path / "s.zarr" / "v" / "feature" / "x"
    out = np.empty((7, 5), np.float32)
    view = store.video("v")
    view.read_into("feature/x", 9, out)
    np.testing.assert_array_equal(out, values[9:16])
    meta = json.loads((folder / "zarr.json").read_text())
    assert [codec["name"] for codec in meta["codecs"]] == ["bytes"]  # else the fast way is not taken
    shutil.rmtree(folder)
    squeezed = zarr.create_array(
        str(folder),
        shape=values.shape,
        chunks=(4, 5),
        dtype="float32",
        fill_value=np.nan,
        attributes={"name": "x", "dim": 5},
    )
    squeezed[...] = values
    store.video("v").read_into("feature/x", 9, out)
    np.testing.assert_array_equal(out, values[9:16])
