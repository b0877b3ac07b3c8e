"""Z-scores with the statistics of the training frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from vacli.errors import RunError
from vacli.sequences.base import FeatureRows

if TYPE_CHECKING:
    import torch

STD_FLOOR = 1e-6  # columns with a smaller deviation are only centred
BLOCK_ROWS = 4096

ArrayT = TypeVar("ArrayT", np.ndarray, "torch.Tensor")


@dataclass(frozen=True, eq=False, kw_only=True)
class Normalisation:
    """Per stream the (D,) float32 mean and standard deviation of each column."""

    mean: Mapping[str, np.ndarray]
    std: Mapping[str, np.ndarray]

    def tensors(self) -> dict[str, np.ndarray]:
        """As named arrays, for a safetensors file."""
        means = {f"{name}.mean": x for name, x in self.mean.items()}
        return means | {f"{name}.std": x for name, x in self.std.items()}

    @classmethod
    def from_tensors(cls, arrays: Mapping[str, np.ndarray]) -> Normalisation:
        """The inverse of `tensors`; raises RunError where one of a pair is missing."""
        streams = {name.rpartition(".")[0] for name in arrays}
        try:
            mean = {s: np.asarray(arrays[f"{s}.mean"]) for s in sorted(streams)}
            std = {s: np.asarray(arrays[f"{s}.std"]) for s in sorted(streams)}
        except KeyError as error:
            raise RunError(
                f"the normalisation has no {error.args[0]!r}", hint="the run is damaged; train again"
            ) from None
        return cls(mean=mean, std=std)

    def apply(self, streams: Mapping[str, np.ndarray], clip_z: float) -> dict[str, np.ndarray]:
        """Z-scores of (..., D) streams, clipped to +-clip_z; NaN stays NaN."""
        return {name: standardise(x, self.mean[name], self.std[name], clip_z) for name, x in streams.items()}


def standardise(x: ArrayT, mean: ArrayT, std: ArrayT, clip_z: float) -> ArrayT:
    """(x - mean) / std clipped to +-clip_z, for numpy arrays or for torch tensors. x: (..., D)."""
    return ((x - mean) / std).clip(-clip_z, clip_z)


@dataclass
class _Column:
    """Running count, mean and sum of squared deviations of each column (Chan et al. 1983)."""

    count: np.ndarray
    mean: np.ndarray
    squares: np.ndarray

    @classmethod
    def empty(cls, dim: int) -> _Column:
        return cls(np.zeros(dim), np.zeros(dim), np.zeros(dim))

    def add(self, rows: np.ndarray) -> None:
        rows = rows.astype(np.float64)
        finite = np.isfinite(rows)
        count = finite.sum(axis=0)
        known = np.maximum(count, 1)
        mean = np.where(finite, rows, 0.0).sum(axis=0) / known
        squares = (np.where(finite, rows - mean, 0.0) ** 2).sum(axis=0)
        total = np.maximum(self.count + count, 1)
        step = mean - self.mean
        self.squares += squares + step**2 * self.count * count / total
        self.mean += step * count / total
        self.count += count


def fit(sequences: Iterable[FeatureRows]) -> Normalisation:
    """Mean and standard deviation (1/n) of every column over the frames where it is not missing."""
    columns: dict[str, _Column] = {}
    for sequence in sequences:
        for start in range(0, len(sequence), BLOCK_ROWS):
            rows = min(BLOCK_ROWS, len(sequence) - start)
            block = {name: np.empty((rows, dim), np.float32) for name, dim in sequence.dims.items()}
            sequence.fill(start, block)
            for name, values in block.items():
                columns.setdefault(name, _Column.empty(values.shape[1])).add(values)
    std = {name: np.sqrt(c.squares / np.maximum(c.count, 1)) for name, c in columns.items()}
    return Normalisation(
        mean={name: c.mean.astype(np.float32) for name, c in columns.items()},
        std={name: np.where(s < STD_FLOOR, 1.0, s).astype(np.float32) for name, s in std.items()},
    )
