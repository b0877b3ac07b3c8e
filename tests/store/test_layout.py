"""Arrays take no more disk than their rows, in few files, and keep their values."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from synth.stores import add_video, empty, put_feature

from vacli.features.flags import SILENT
from vacli.store import Store, VideoView

CLIP_FRAMES = 75  # three seconds


def write_faces(store: Store, video: str, frames: int, crop_bytes: int) -> list[bytes]:
    """Faces as `va align` stores them; the crops are random bytes, which no codec makes smaller."""
    rng = np.random.default_rng(1)
    crops = [rng.bytes(crop_bytes) for _ in range(frames)]
    with store.stage(video, "face", {}) as part:
        part.append("detected", np.ones(frames, bool))
        part.append("track", np.arange(frames, dtype=np.int32))
        part.append("box", rng.normal(size=(frames, 4)).astype(np.float32), dims=("xyxy",), units="px")
        landmarks = rng.normal(size=(frames, 5, 2)).astype(np.float32)
        part.append("landmarks", landmarks, dims=("point", "xy"), units="px")
        for name in ("score", "sharpness", "size"):
            part.append(name, rng.normal(size=frames).astype(np.float32))
        part.append_images("crop", crops)
    return crops


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def codecs(view: VideoView, array: str) -> list[str]:
    meta = json.loads((view.path / array / "zarr.json").read_text())
    return [codec["name"] for codec in meta["codecs"]]


@pytest.fixture
def store(tmp_path) -> Store:
    return empty(tmp_path / "s.zarr")


def test_a_short_clip_takes_little_more_than_its_crops_in_few_files(store):
    add_video(store, "clip", CLIP_FRAMES)
    write_faces(store, "clip", CLIP_FRAMES, 11_000)
    files = files_of(store.path / "clip")
    assert sum(path.stat().st_size for path in files) <= 1.05 * CLIP_FRAMES * 11_000
    assert len(files) == 24  # two for each of 11 arrays, one for each of 2 groups
    put_feature(store, "clip", "xa", np.ones((CLIP_FRAMES, 39)), np.full(CLIP_FRAMES, SILENT, np.uint8))
    assert len(files_of(store.path / "clip")) == 24 + 6


@pytest.mark.parametrize("count", [1, 9, 10, 11, 60, 61, 150])
def test_crops_of_any_number_are_in_files_without_gaps(store, monkeypatch, count):
    monkeypatch.setattr("vacli.store.layout.FILE_BYTES", 6000)
    monkeypatch.setattr("vacli.store.layout.IMAGE_CHUNK_BYTES", 1000)
    add_video(store, "clip", count)
    crops = write_faces(store, "clip", count, 100)
    assert list(store.video("clip").crop_bytes(range(count))) == crops
    assert list(store.video("clip").crop_bytes([count - 1])) == crops[-1:]
    files = files_of(store.path / "clip" / "face" / "crop" / "c")
    assert len(files) == -(-count * 100 // 6000)
    assert sum(path.stat().st_size for path in files) < count * 100 + 200 * len(files) + 100


@pytest.mark.parametrize("rows", [1, 99, 100, 101, 250])
def test_features_are_in_uncompressed_files_of_equal_length(store, monkeypatch, rows):
    monkeypatch.setattr("vacli.store.layout.CHUNK_BYTES", 100 * 12)
    values = np.random.default_rng(0).normal(size=(rows, 3)).astype(np.float32)
    add_video(store, "clip", rows)
    put_feature(store, "clip", "xa", values)
    view = store.video("clip")
    np.testing.assert_array_equal(view.feature("xa")[0], values)
    assert codecs(view, "feature/xa") == ["bytes"]
    sizes = [path.stat().st_size for path in files_of(view.path / "feature" / "xa" / "c")]
    assert len(sizes) == -(-rows // 100)
    assert sum(sizes) < (rows + len(sizes)) * 12


def test_numbers_of_faces_are_compressed(store):
    add_video(store, "clip", CLIP_FRAMES)
    write_faces(store, "clip", CLIP_FRAMES, 10)
    assert codecs(store.video("clip"), "face/box") == ["bytes", "blosc"]
    assert codecs(store.video("clip"), "time") == ["bytes", "blosc"]


def test_a_long_table_is_written_in_several_files(store, monkeypatch):
    monkeypatch.setattr("vacli.store.layout.CHUNK_ROWS", 40)
    add_video(store, "clip", 100)
    scores = np.random.default_rng(0).normal(size=100).astype(np.float32)
    with store.stage("clip", "face", {}) as part:
        for start in range(0, 100, 7):
            part.append("score", scores[start : start + 7])
    np.testing.assert_array_equal(store.video("clip").read("face/score"), scores)
    assert sorted(os.listdir(store.path / "clip" / "face" / "score" / "c")) == ["0", "1", "2"]
