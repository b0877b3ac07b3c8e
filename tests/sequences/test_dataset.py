"""Batches hold the right rows in the right order, from memory and from disk alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from synth.stores import add_video, empty, put_feature, put_labels
from torch.utils.data import DataLoader

from vacli.recipe.schema import Model, Stream, Window
from vacli.sequences.base import FeatureSequence
from vacli.sequences.dataset import Standardiser, WindowDataset, identity_collate
from vacli.sequences.normalization import fit
from vacli.sequences.stored import open_sequences

WINDOW = Window(length_frames=8, stride_frames=5)


def sequence(video: str, frames: int, seed: int = 0) -> FeatureSequence:
    rng = np.random.default_rng(seed)
    labels = rng.uniform(-1, 1, (frames, 2)).astype(np.float32)
    labels[1] = np.nan
    labels[2, 0] = np.nan
    x = rng.normal(size=(frames, 3)).astype(np.float32)
    x[0] = np.nan
    return FeatureSequence(video=video, times_s=np.arange(frames) / 25, streams={"x": x}, labels=labels)


def test_items_are_windows_in_order():
    long, short = sequence("long", 20), sequence("short", 5, 1)
    dataset = WindowDataset([long, short], WINDOW)
    assert len(dataset) == 5  # 0, 5, 10, 12 of the long one and the short one
    batch = dataset[3]
    np.testing.assert_array_equal(batch.streams["x"][0].numpy(), long.streams["x"][12:20])
    np.testing.assert_array_equal(batch.labels[0].numpy(), long.labels[12:20])
    assert batch.mask.all()
    assert batch.label_mask.all()


def test_padding_is_nan_masked_and_unlabelled():
    batch = WindowDataset([sequence("short", 5)], WINDOW)[0]
    assert batch.mask[0].tolist() == [True] * 5 + [False] * 3
    assert batch.label_mask[0].tolist() == [True, False, False, True, True, False, False, False]
    assert torch.isnan(batch.streams["x"][0, 5:]).all()
    assert torch.isnan(batch.streams["x"][0, 0]).all()
    assert torch.isfinite(batch.labels).all()


def test_windows_without_labels_have_an_empty_label_mask():
    bare = FeatureSequence(video="v", times_s=np.arange(9.0), streams={"x": np.zeros((9, 3), np.float32)})
    assert not WindowDataset([bare], WINDOW)[0].label_mask.any()


def test_loader_requests_whole_batches():
    dataset = WindowDataset([sequence("a", 20), sequence("b", 30, 1)], WINDOW)
    loader = DataLoader(dataset, batch_size=4, collate_fn=identity_collate)
    batches = list(loader)
    assert sum(len(b.mask) for b in batches) == len(dataset)
    singles = torch.cat([dataset[i].labels for i in range(len(dataset))])
    torch.testing.assert_close(torch.cat([b.labels for b in batches]), singles, rtol=0, atol=0)


def test_batch_moves_with_all_tensors():
    batch = WindowDataset([sequence("a", 20)], WINDOW)[0].to("meta")
    assert {t.device.type for t in (*batch.streams.values(), batch.labels, batch.mask)} == {"meta"}


@pytest.mark.parametrize("chunk_bytes", [1 << 22, 60])
def test_store_and_memory_give_the_same_batches(tmp_path, monkeypatch, chunk_bytes):
    monkeypatch.setattr("vacli.store.layout.CHUNK_BYTES", chunk_bytes)
    store = empty(tmp_path / "s.zarr")
    sequences = [sequence("a", 23), sequence("b", 6, 1)]
    for s in sequences:
        add_video(store, s.video, len(s))
        put_feature(store, s.video, "x", s.streams["x"])
        put_labels(store, s.video, s.labels)
    stored = open_sequences(store.videos(), Model(streams=(Stream(name="x", features=("x",), dim=3),)))
    ours, memory = WindowDataset(stored, WINDOW), WindowDataset(sequences, WINDOW)
    assert len(ours) == len(memory)
    for i in range(len(ours)):
        for got, wanted in (
            (ours[i].streams["x"], memory[i].streams["x"]),
            (ours[i].labels, memory[i].labels),
        ):
            torch.testing.assert_close(got, wanted, rtol=0, atol=0, equal_nan=True)


def test_standardiser_equals_the_normalisation():
    s = sequence("a", 20)
    made = fit([s])
    batch = WindowDataset([s], Window(length_frames=20, stride_frames=20))[0]
    ours = Standardiser(made, 1.0)(batch.streams)["x"][0].numpy()
    np.testing.assert_array_equal(ours, made.apply(s.streams, 1.0)["x"])
