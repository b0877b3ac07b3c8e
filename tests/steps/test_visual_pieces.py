"""Long videos in pieces: the values of the whole, and a later run computes only what is missing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from synth.face_stores import drawn_face, jpeg
from synth.object_stores import memory_folder, upload

from vacli.features.compact.extractor import Compact
from vacli.progress import RecordingProgress
from vacli.runtime.executor import Channel, LocalExecutor
from vacli.steps import extract_visual
from vacli.steps._batch import Batch, run_job
from vacli.steps._feature_extraction import equal_spans
from vacli.steps._visual_rows import plan_rows
from vacli.steps.extract_visual import ExtractVisualSettings
from vacli.store import Store
from vacli.store.pieces import FOLDER, FeaturePieces, Span

BATCH, PIECE = 1, 4  # a block has four batches
LONG, SHORT, MISSING = 31, 3, (3, 4, 20)
ROWS = plan_rows(~np.isin(np.arange(LONG), MISSING), np.zeros(LONG), 2)  # of the long video
N_COMPUTED = len(ROWS) + 2


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """A store with a long and a short video."""
    folder = tmp_path_factory.mktemp("faces")
    store = Store.open_or_create(folder / "s.zarr")
    for name, frames in (("clip0", LONG), ("short", SHORT)):
        store.add_video(name, np.arange(frames) / 25, source={"sha256": name}, stream={})
        put_faces(store, name, frames)
    return store.path


def put_faces(store: Store, name: str, frames: int, shift: int = 0) -> None:
    rng = np.random.default_rng(0)
    face = drawn_face(0.3, 0.2, rng)
    present = [frame not in MISSING for frame in range(frames)]
    crops = [jpeg(np.roll(face, shift + i, 0)) if present[i] else None for i in range(frames)]
    with store.stage(name, "face", {}) as writer:
        writer.append("detected", np.array(present))
        writer.append_images("crop", crops)


def settings_of(store: Path, **more) -> ExtractVisualSettings:
    return ExtractVisualSettings(inputs=(store,), device="cpu", batch_size=BATCH, frame_stride=2, **more)


def features(store: Path) -> dict[str, tuple[bytes, bytes]]:
    found = {view.id: view.feature("compact") for view in Store.open(store).videos()}
    return {name: (values.tobytes(), flags.tobytes()) for name, (values, flags) in found.items()}


@pytest.fixture(scope="module")
def expected(prepared, tmp_path_factory) -> dict[str, tuple[bytes, bytes]]:
    """The features of a run that splits nothing."""
    whole = Path(shutil.copytree(prepared, tmp_path_factory.mktemp("whole") / "s.zarr"))
    assert not extract_visual.run(settings_of(whole)).failed
    return features(whole)


@pytest.fixture(params=["local", "objects"])
def store(request, prepared, tmp_path) -> Path:
    if request.param == "local":
        return Path(shutil.copytree(prepared, tmp_path / "s.zarr"))
    pytest.importorskip("obstore")
    return upload(prepared, memory_folder() / "s.zarr")


@pytest.fixture
def n_computed(monkeypatch) -> list[int]:
    """The numbers of faces that the network was given."""
    numbers: list[int] = []
    plain = Compact.extract

    def counting(self: Compact, crops: np.ndarray) -> np.ndarray:
        numbers.append(len(crops))
        return plain(self, crops)

    monkeypatch.setattr(Compact, "extract", counting)
    return numbers


def extract(store: Path, **more) -> Batch:
    """Extract in pieces, in this process."""
    job = extract_visual._ExtractVisualJob(settings_of(store, **more), store, PIECE)
    channel = Channel(RecordingProgress())
    return run_job(Batch(store), Store.open(store).video_ids(), str, job, channel, LocalExecutor())


def pieces_in(store: Path) -> list[str]:
    return sorted(path.name for path in (store / FOLDER).glob("**/*-*"))


@contextmanager
def interrupted_at(number: int, monkeypatch) -> Iterator[None]:
    """Interrupt a run in this process before it has written more than `number` pieces."""
    plain = FeaturePieces.write
    written: list[Span] = []

    def write(self: FeaturePieces, span: Span, rows: np.ndarray) -> None:
        if len(written) == number:
            raise KeyboardInterrupt
        plain(self, span, rows)
        written.append(span)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(FeaturePieces, "write", write)
        yield


def test_an_interrupted_run_is_completed_from_its_pieces(store, expected, n_computed, monkeypatch):
    other = FeaturePieces(store, "clip0", "compact", "of other settings", 128)
    other.write(Span(0, PIECE), np.zeros((PIECE, 128), np.float32))
    with interrupted_at(3, monkeypatch):
        extract(store)
    assert len(pieces_in(store)) == 3
    assert sum(n_computed) == 4 * PIECE
    n_computed.clear()
    assert extract(store).done == ["clip0", "short"]
    assert features(store) == expected
    assert sum(n_computed) == N_COMPUTED - 3 * PIECE
    assert pieces_in(store) == []
    assert extract(store).skipped == ["clip0", "short"]


def test_faces_that_are_replaced_between_pieces_fail_the_video(prepared, tmp_path, expected, monkeypatch):
    store = Path(shutil.copytree(prepared, tmp_path / "s.zarr"))
    plain = FeaturePieces.write

    def write(self: FeaturePieces, span: Span, rows: np.ndarray) -> None:
        plain(self, span, rows)
        put_faces(Store.open(store), "clip0", LONG, shift=9)

    with monkeypatch.context() as patch:
        patch.setattr(FeaturePieces, "write", write)
        (failure,) = extract(store).failed
    assert failure.reason == f"{store / 'clip0'} was changed by another process; run it again"
    assert extract(store).done == ["clip0"]
    assert features(store)["clip0"] != expected["clip0"]
    assert pieces_in(store) == []


def test_spans_are_equal_and_begin_with_a_block():
    assert equal_spans(39, 8, 8)[-2:] == (Span(24, 32), Span(32, 39))
    assert equal_spans(9, 8, 8) == (Span(0, 8), Span(8, 9))
    assert equal_spans(4200, 4096, 64) == (Span(0, 2112), Span(2112, 4200))
    assert equal_spans(5000, 4096, 8192) == (Span(0, 5000),)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_dask_workers_compute_the_missing_pieces(prepared, tmp_path, expected, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(extract_visual, "PIECE_ROWS", PIECE)
    store = Path(shutil.copytree(prepared, tmp_path / "s.zarr"))
    with interrupted_at(1, monkeypatch):
        extract(store)
    (piece,) = (store / FOLDER).glob("**/0-4")
    marked = np.full((PIECE, 128), 7, np.float32)
    FeaturePieces(store, "clip0", "compact", piece.parent.name, 128).write(Span(0, PIECE), marked)
    settings = settings_of(store, dask="local:2")
    assert extract_visual.run(settings).done == ["clip0", "short"]
    values, whole = (
        np.frombuffer(data["clip0"][0], np.float32).reshape(-1, 128) for data in (features(store), expected)
    )
    first, rest = np.split(ROWS, [PIECE])
    assert (values[first] == 7).all()  # the piece was not computed again
    assert values[rest].tobytes() == whole[rest].tobytes()
    assert features(store)["short"] == expected["short"]
    assert pieces_in(store) == []
