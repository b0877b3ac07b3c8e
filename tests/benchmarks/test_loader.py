"""Windows from the store against reading the same bytes from one memory-mapped file.

VA_BENCH_FRAMES=1700000 is Aff-Wild2's size (1214 columns: 8.3 GB on disk, twice); the default is a tenth.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from synth.stores import add_video, empty, put_feature

from vacli.models.build import build
from vacli.recipe.presets import preset
from vacli.recipe.schema import Model, Stream, Window
from vacli.runtime.concurrency import parallel_map
from vacli.sequences.dataset import Batch, Standardiser, WindowDataset
from vacli.sequences.normalization import Normalisation
from vacli.sequences.stored import open_sequences
from vacli.sequences.windows import plan
from vacli.store import Store
from vacli.training.distributed import World
from vacli.training.temporal.batches import AHEAD, WindowBatches

FRAMES = int(os.environ.get("VA_BENCH_FRAMES", "170000"))
COLUMNS = 1214
FRAMES_A_VIDEO = 3000
WINDOW = Window()
BATCH = 16
ROUNDS = 10
EPOCHS, STEPS = 3, 2  # of the network


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[Path, Path, int]:
    """A store of videos and one flat file with the same rows in the same order."""
    root = tmp_path_factory.mktemp("loader")
    store, rng, flat = empty(root / "s.zarr"), np.random.default_rng(0), root / "flat.f32"
    videos = max(1, FRAMES // FRAMES_A_VIDEO)
    with open(flat, "wb") as stream:
        for index in range(videos):
            rows = rng.standard_normal((FRAMES_A_VIDEO, COLUMNS), np.float32)
            add_video(store, f"v{index:05d}", FRAMES_A_VIDEO)
            put_feature(store, f"v{index:05d}", "x", rows)
            stream.write(rows.tobytes())
    yield store.path, flat, videos * FRAMES_A_VIDEO
    for path in root.rglob("*"):
        if path.is_file():
            path.unlink()


def test_loader_against_one_memory_mapped_file(files, benchmark):
    path, flat, frames = files
    model = Model(streams=(Stream(name="x", features=("x",), dim=COLUMNS),))
    dataset = WindowDataset(open_sequences(Store.open(path).videos(), model), WINDOW)
    rows = np.memmap(flat, np.float32, "r", shape=(frames, COLUMNS))
    starts = _starts(dataset, frames)
    order = np.random.default_rng(1).permutation(len(dataset))
    batches = [order[i : i + BATCH] for i in range(0, len(order) - BATCH + 1, BATCH)]

    def one(indices: np.ndarray) -> np.ndarray:
        out = np.empty((len(indices), WINDOW.length_frames, COLUMNS), np.float32)
        for row, start in zip(out, starts[indices], strict=True):
            row[...] = rows[start : start + WINDOW.length_frames]
        return out

    def plain(chosen: list[np.ndarray]) -> Iterator[np.ndarray]:
        return map(one, chosen)

    def ours(chosen: list[np.ndarray]) -> Iterator[np.ndarray]:
        """As training reads: two batches ahead of the one in use."""
        batches = parallel_map(dataset.__getitems__, [indices.tolist() for indices in chosen], AHEAD, AHEAD)
        return (batch.streams["x"].numpy() for batch in batches)

    for got, wanted in zip(ours(batches[:3]), plain(batches[:3]), strict=True):
        np.testing.assert_array_equal(got, wanted)
    seconds = {plain: [], ours: []}
    for round_ in range(ROUNDS):  # each pair reads the same new windows, in turn as first and second
        mine = batches[round_::ROUNDS]
        for read in (plain, ours) if round_ % 2 else (ours, plain):
            start = time.perf_counter()
            for _ in read(mine):
                pass
            seconds[read].append((time.perf_counter() - start) / len(mine))
    megabytes = BATCH * WINDOW.length_frames * COLUMNS * 4 / 1e6
    pairs = zip(seconds[plain], seconds[ours], strict=True)
    benchmark.extra_info.update(
        ratio=statistics.median(theirs / our for theirs, our in pairs),
        bound=0.8,
        error=0.0,
        name="window loader against one memory-mapped file",
        frames=frames,
        loader_mb_s=megabytes / statistics.median(seconds[ours]),
        mapped_mb_s=megabytes / statistics.median(seconds[plain]),
    )
    benchmark.pedantic(lambda: list(ours(batches[:2])), rounds=5)


def test_an_epoch_against_the_steps_of_the_network_alone(files, benchmark):
    """Steps of LightMamba on batches that are read meanwhile, over those on batches in memory."""
    recipe = preset("lightmamba")
    model = replace(recipe.model, streams=(Stream(name="x", features=("x",), dim=COLUMNS),))
    torch.manual_seed(0)
    net = build(model).train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-4)
    training = replace(recipe.training, batch_size=2)  # both sides grow alike with it
    sequences = open_sequences(Store.open(files[0]).videos(), model)
    numbers = Normalisation(
        mean={"x": np.zeros(COLUMNS, np.float32)}, std={"x": np.ones(COLUMNS, np.float32)}
    )
    standardiser, here = Standardiser(numbers, 5.0), World()
    batches = WindowBatches(WindowDataset(sequences, WINDOW), standardiser, training, here)

    def steps(chosen: Iterable[Batch]) -> float:
        began = time.perf_counter()
        for batch in chosen:
            net(batch.streams, batch.mask).square().mean().backward()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        return time.perf_counter() - began

    pairs = []
    for number in range(EPOCHS):
        alone = steps(list(islice(batches.epoch(number), STEPS)))
        pairs.append(alone / steps(islice(batches.epoch(number), STEPS)))
    benchmark.pedantic(lambda: steps(islice(batches.epoch(0), STEPS)), rounds=1)
    benchmark.extra_info.update(
        ratio=statistics.median(pairs),
        bound=1 / 1.15,
        error=0.0,
        lowest=min(pairs),
        highest=max(pairs),
        steps=STEPS,
    )


def _starts(dataset: WindowDataset, frames: int) -> np.ndarray:
    """First row in the flat file of every window of the dataset."""
    one = plan(FRAMES_A_VIDEO, WINDOW)
    starts = np.concatenate([one + video * FRAMES_A_VIDEO for video in range(frames // FRAMES_A_VIDEO)])
    assert len(starts) == len(dataset)
    return starts
