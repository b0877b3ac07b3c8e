from __future__ import annotations

import threading
from itertools import chain

import numpy as np
import pytest
import torch

from vacli.recipe.schema import Augment, Training, Window
from vacli.runtime.concurrency import parallel_map
from vacli.sequences.base import FeatureSequence
from vacli.sequences.dataset import Standardiser, WindowDataset
from vacli.sequences.normalization import fit
from vacli.training.distributed import World
from vacli.training.temporal.batches import AHEAD, WindowBatches

FRAMES = 90


def videos(count: int = 5) -> list[FeatureSequence]:
    """Videos whose first column identifies the video and the frame of each row."""
    made = []
    for number in range(count):
        rows = np.arange(FRAMES, dtype=np.float32)[:, None] + 1000 * number
        labels = np.stack([rows[:, 0], -rows[:, 0]], axis=1)
        made.append(
            FeatureSequence(
                video=str(number), times_s=np.arange(FRAMES) / 25, streams={"visual": rows}, labels=labels
            )
        )
    return made


def batches(training: Training, world: World) -> WindowBatches:
    made = videos()
    standardiser = Standardiser(fit(made), training.clip_z)
    return WindowBatches(
        WindowDataset(made, Window(length_frames=30, stride_frames=30)), standardiser, training, world
    )


def windows(source: WindowBatches, epoch: int) -> list[list[float]]:
    """The first label of every window that counts, a list a batch."""
    return [
        [float(w[0, 0]) for w, counts in zip(b.labels, b.label_mask, strict=True) if counts.any()]
        for b in source.epoch(epoch)
    ]


def test_each_epoch_has_every_window_once_in_its_own_order() -> None:
    source = batches(Training(batch_size=4), World())
    first, second = windows(source, 1), windows(source, 2)
    assert [len(batch) for batch in first] == [4, 4, 4, 3]
    assert len(source) == 4
    assert sorted(chain(*first)) == sorted(1000.0 * v + start for v in range(5) for start in (0, 30, 60))
    assert first != second
    assert first == windows(source, 1)
    assert first != windows(batches(Training(batch_size=4, seed=1), World()), 1)


def test_ranks_share_the_batches_of_one_process() -> None:
    training = Training(batch_size=7)  # 15 windows: the last batch has one, for two ranks
    alone = windows(batches(training, World()), 3)
    ranks = [windows(batches(training, World(rank, 2)), 3) for rank in range(2)]
    assert [len(rank) for rank in ranks] == [3, 3]
    for whole, *parts in zip(alone, *ranks, strict=True):
        assert sorted(whole) == sorted(chain(*parts))


def test_batches_contain_z_scores() -> None:
    rows = torch.cat([b.streams["visual"].flatten() for b in batches(Training(), World()).epoch(1)])
    assert rows.mean().item() == pytest.approx(0, abs=1e-5)
    assert rows.std(correction=0).item() == pytest.approx(1, abs=1e-5)


def test_augmentation_depends_on_epoch_and_rank_only() -> None:
    training = Training(batch_size=4, augment=Augment(noise=1.0))

    def first(rank: int, epoch: int) -> torch.Tensor:
        return next(batches(training, World(rank, 1)).epoch(epoch)).streams["visual"]

    assert torch.equal(first(0, 1), first(0, 1))
    assert not torch.equal(first(0, 1), first(0, 2))


def test_read_ahead_keeps_order_and_errors() -> None:
    def read(item: int) -> int:
        if item == 4:
            raise OSError("gone")
        return 10 * item

    coming = parallel_map(read, range(6), AHEAD, AHEAD)
    assert [next(coming) for _ in range(4)] == [0, 10, 20, 30]
    with pytest.raises(OSError, match="gone"):
        next(coming)
    assert list(parallel_map(read, [], AHEAD, AHEAD)) == []


def test_read_ahead_is_limited() -> None:
    seen, third = [], threading.Event()

    def read(item: int) -> int:
        seen.append(item)
        if item == 2:
            third.set()
        return item

    coming = parallel_map(read, range(100), AHEAD, AHEAD)
    next(coming)
    assert third.wait(5)
    assert len(seen) <= 3
    coming.close()
