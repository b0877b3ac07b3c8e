"""Windows of many videos as batches of tensors, read from the store when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from vacli.recipe.schema import Window
from vacli.sequences import windows
from vacli.sequences.base import FeatureRows
from vacli.sequences.normalization import Normalisation, standardise


@dataclass(frozen=True, eq=False, kw_only=True)
class Batch:
    """B windows of L frames.

    streams: name -> (B, L, D) float32, NaN where missing or padded. labels: (B, L, 2) float32, 0 where
    not annotated. label_mask: (B, L) bool, True where both valence and arousal are annotated.
    mask: (B, L) bool, True where the frame is real.
    """

    streams: dict[str, torch.Tensor]
    labels: torch.Tensor
    label_mask: torch.Tensor
    mask: torch.Tensor

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on a device."""
        return self._map(lambda x: x.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory; DataLoader calls this."""
        return self._map(torch.Tensor.pin_memory)

    def _map(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Batch:
        return Batch(
            streams={name: change(x) for name, x in self.streams.items()},
            labels=change(self.labels),
            label_mask=change(self.label_mask),
            mask=change(self.mask),
        )


class WindowDataset(Dataset[Batch]):
    """Windows of all given videos, in their order.

    Item i is a Batch of one window. With `collate_fn=identity_collate` a DataLoader requests a whole
    batch at once (`__getitems__`), which is read from disk directly into the batch's memory.
    """

    def __init__(self, sequences: Sequence[FeatureRows], window: Window) -> None:
        self._sequences = list(sequences)
        self._length = window.length_frames
        plans = [windows.plan(len(sequence), window) for sequence in self._sequences]
        self._index = [(s, int(start)) for s, plan in enumerate(plans) for start in plan]

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index: int) -> Batch:
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """One Batch of the windows at `indices`, in that order."""
        shape = (len(indices), self._length)
        dims = self._sequences[0].dims
        # numpy allocates huge pages, torch does not: allocation is half of the cost of a batch.
        streams = {name: np.empty((*shape, dim), np.float32) for name, dim in dims.items()}
        labels = np.full((*shape, 2), np.nan, np.float32)
        mask = np.zeros(shape, bool)
        for row, index in enumerate(indices):
            sequence, start = self._sequences[self._index[index][0]], self._index[index][1]
            count = min(self._length, len(sequence) - start)
            mask[row, :count] = True
            _read(sequence, start, {name: x[row] for name, x in streams.items()}, count)
            if sequence.labels is not None:
                labels[row, :count] = sequence.labels[start : start + count]
        annotated = np.asarray(~np.isnan(labels).any(axis=-1))
        return Batch(
            streams={name: torch.from_numpy(x) for name, x in streams.items()},
            labels=torch.from_numpy(np.where(annotated[..., None], labels, np.float32(0))),
            label_mask=torch.from_numpy(annotated),
            mask=torch.from_numpy(mask),
        )


def _read(sequence: FeatureRows, start: int, out: dict[str, np.ndarray], count: int) -> None:
    sequence.fill(start, {name: rows[:count] for name, rows in out.items()})
    for rows in out.values():
        rows[count:] = np.nan


def identity_collate(batch: Batch) -> Batch:
    """For DataLoader's `collate_fn`: the dataset already returns a batch."""
    return batch


class Standardiser(torch.nn.Module):
    """A run's normalisation as tensors that move with the model; z-scores streams on their device."""

    def __init__(self, normalisation: Normalisation, clip_z: float) -> None:
        super().__init__()
        self._clip_z = clip_z
        for name in normalisation.mean:
            self.register_buffer(f"{name}_mean", torch.as_tensor(normalisation.mean[name]))
            self.register_buffer(f"{name}_std", torch.as_tensor(normalisation.std[name]))

    def forward(self, streams: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Z-scores of (B, L, D) streams; NaN stays NaN."""
        return {
            name: standardise(x, getattr(self, f"{name}_mean"), getattr(self, f"{name}_std"), self._clip_z)
            for name, x in streams.items()
        }
