"""Batches of training windows in seeded order: read ahead, z-scored and augmented."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from vacli.recipe.schema import Training
from vacli.runtime.concurrency import parallel_map
from vacli.sequences.dataset import Batch, Standardiser, WindowDataset
from vacli.training.distributed import World
from vacli.training.temporal.augmentation import augment_windows

AHEAD = 2  # batches that are read in the background


class WindowBatches:
    """Batches of a window dataset; those of epoch k depend on the seed, k and the rank only.

    A batch of `training.batch_size` windows is divided among the ranks. Its windows do not depend on the
    number of processes.
    """

    def __init__(
        self, dataset: WindowDataset, standardiser: Standardiser, training: Training, world: World
    ) -> None:
        self._dataset = dataset
        self._standardiser = standardiser
        self._training = training
        self._world = world

    def __len__(self) -> int:
        return -(-len(self._dataset) // self._training.batch_size)

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of epoch `number`, on the device."""
        order = np.random.default_rng([self._training.seed, number]).permutation(len(self._dataset))
        size = self._training.batch_size
        chosen = [order[start : start + size] for start in range(0, len(order), size)]
        for index, batch in enumerate(parallel_map(self._read, chosen, AHEAD, AHEAD)):
            yield self._prepare(batch.to(self._world.device), number, index)

    def _read(self, chosen: np.ndarray) -> Batch:
        mine = chosen[self._world.rank :: self._world.size]
        if len(mine):
            batch = self._dataset.__getitems__(mine.tolist())
        else:  # fewer windows than ranks: take one without labels, because every rank must take part
            batch = self._dataset.__getitems__(chosen[:1].tolist())
            batch = replace(batch, label_mask=torch.zeros_like(batch.label_mask))
        return batch.pin_memory() if self._world.device.type == "cuda" else batch

    def _prepare(self, batch: Batch, epoch: int, index: int) -> Batch:
        with torch.no_grad():
            streams = self._standardiser(batch.streams)
            seed = self._world.seed(self._training.seed, epoch, index)
            generator = torch.Generator(self._world.device).manual_seed(seed)
            return replace(batch, streams=augment_windows(streams, self._training.augment, generator))
