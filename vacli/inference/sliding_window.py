"""A network applied to whole videos in windows, as in training; overlapping windows are averaged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from vacli.recipe.schema import Window
from vacli.sequences import windows
from vacli.sequences.base import FeatureRows

BLOCK_WINDOWS = 8  # windows that go through the network at once

# name -> (B, L, D) float32 streams as stored, NaN where missing or padded; (B, L) bool, True where a frame is
# real; and name -> (B, L) float32 availability, see `models.network.VaNet.forward`; to (B, L, 2) float32.
Network = Callable[[Mapping[str, np.ndarray], np.ndarray, Mapping[str, np.ndarray]], np.ndarray]
Availability = Mapping[str, np.ndarray]  # name of a stream -> (T,) in [0, 1] for the rows of a video
EVERYTHING: Availability = {}


@dataclass(frozen=True)
class SlidingWindowPredictor:
    """The predictor of validation during training, `va evaluate` and `va predict`.

    All three use it, so that their scores are comparable.
    network_causal: the network's output for frame t depends only on frames <= t of its window.
    """

    network: Network
    window: Window
    network_causal: bool = False

    @property
    def causal(self) -> bool:
        """Whether the prediction for frame t depends only on frames <= t of its window."""
        return self.network_causal and not self.window.smooth_frames

    def __call__(self, rows: FeatureRows, availability: Availability = EVERYTHING) -> np.ndarray:
        """(T, 2) float32: the mean over the windows that cover a frame, clipped to [-1, 1]."""
        starts = windows.plan(len(rows), self.window)
        if not len(starts):
            return np.zeros((0, 2), np.float32)
        outputs = self.windows(rows, 0, len(starts), availability)
        return windows.overlap_average(outputs, starts, len(rows)).clip(-1.0, 1.0)

    def windows(
        self, rows: FeatureRows, first: int, end: int, availability: Availability = EVERYTHING
    ) -> np.ndarray:
        """(W, L, 2): the network's outputs for the windows first, ..., end - 1 of a video."""
        starts = windows.plan(len(rows), self.window)
        blocks = (starts[at : min(at + BLOCK_WINDOWS, end)] for at in range(first, end, BLOCK_WINDOWS))
        return np.concatenate([self._block(rows, block, availability) for block in blocks])

    def _block(self, rows: FeatureRows, starts: np.ndarray, availability: Availability) -> np.ndarray:
        length = windows.span(len(rows), self.window)
        shape = (len(starts), length)
        streams = {name: np.full((*shape, dim), np.nan, np.float32) for name, dim in rows.dims.items()}
        for number, start in enumerate(starts):
            count = min(length, len(rows) - start)
            rows.fill(int(start), {name: x[number, :count] for name, x in streams.items()})
        real = windows.mask(len(rows), starts, length)
        at = (starts[:, np.newaxis] + np.arange(length)).clip(max=len(rows) - 1)
        there = {name: weight[at].astype(np.float32) for name, weight in availability.items()}
        values, smooth_frames = self.network(streams, real, there), self.window.smooth_frames
        return windows.smooth(values, real, smooth_frames) if smooth_frames else values
