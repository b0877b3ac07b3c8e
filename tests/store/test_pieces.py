"""Pieces of features: complete or absent, checked, and removed with their feature."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from synth.object_stores import keys, memory_folder

from vacli.errors import StoreError
from vacli.files.object_path import ObjectPath
from vacli.store.pieces import FOLDER, FeaturePieces, Span, remove_pieces

SPANS = (Span(0, 4), Span(4, 7))
ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)


@pytest.fixture(params=["local", "objects"])
def store(request, tmp_path) -> Path:
    if request.param == "local":
        return tmp_path / "s.zarr"
    pytest.importorskip("obstore")
    return memory_folder() / "s.zarr"


def pieces_of(store: Path, fingerprint: str = "f", feature: str = "compact") -> FeaturePieces:
    return FeaturePieces(store, "clip", feature, fingerprint, 3)


def files(store: Path) -> list[str]:
    if isinstance(store, ObjectPath):
        return keys(store)
    return sorted(str(path.relative_to(store)) for path in store.rglob("*"))


def overwrite(store: Path, data: bytes) -> None:
    path = store / FOLDER / "clip" / "compact" / "f" / "0-4"
    if isinstance(path, ObjectPath):
        path.bucket.write(path.key, data)
    else:
        path.write_bytes(data)


def test_a_piece_is_missing_until_it_is_written(store):
    pieces = pieces_of(store)
    assert pieces.missing(SPANS) == SPANS
    pieces.write(SPANS[0], ROWS)
    assert pieces.missing(SPANS) == SPANS[1:]
    assert pieces_of(store, "other").missing(SPANS) == SPANS
    assert np.array_equal(pieces.read(SPANS[0]), ROWS)
    with pytest.raises(StoreError, match="was removed by another process"):
        pieces.read(SPANS[1])


def test_a_damaged_piece_is_removed_and_reported(store):
    pieces = pieces_of(store)
    pieces.write(SPANS[0], ROWS)
    overwrite(store, bytes(52))
    assert pieces.missing(SPANS) == SPANS[1:]  # it has the right size
    with pytest.raises(StoreError, match="was damaged and is removed"):
        pieces.read(SPANS[0])
    assert pieces.missing(SPANS) == SPANS


def test_pieces_are_removed_with_their_feature_or_for_other_settings(store):
    for fingerprint, feature in (("f", "compact"), ("g", "compact"), ("f", "resnet50")):
        pieces_of(store, fingerprint, feature).write(SPANS[0], ROWS)
    pieces_of(store, "g").remove_others()
    assert pieces_of(store, "f").missing(SPANS[:1])
    assert not pieces_of(store, "g").missing(SPANS[:1])
    remove_pieces(store, "clip", "compact")
    assert pieces_of(store, "g").missing(SPANS[:1])
    assert not pieces_of(store, "f", "resnet50").missing(SPANS[:1])
    remove_pieces(store, "clip", "resnet50")
    assert files(store) == []
    remove_pieces(store, "clip", "resnet50")
