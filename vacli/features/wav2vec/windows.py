"""Windows of sound for speech networks, and their outputs at the times of frames.

The windows begin at multiples of a step on the sound's clock, so that a part of a recording has the same
windows as the whole. They are cut at the ends of the recording.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

RATE_HZ = 16_000

Span = tuple[int, int]  # first sample, and the one after the last


@dataclass(frozen=True, kw_only=True)
class FrameClock:
    """The times of a convolutional encoder's frames.

    hop: samples between frames. reach: samples that a frame is computed from, before the Transformer.
    """

    hop: int
    reach: int

    @classmethod
    def of(cls, kernels: Sequence[int], strides: Sequence[int]) -> FrameClock:
        """The clock of convolutions without padding, from the kernels and strides of the layers."""
        reach = 1 + sum((k - 1) * math.prod(strides[:i]) for i, k in enumerate(kernels))
        return cls(hop=math.prod(strides), reach=reach)

    def at(self, frames: np.ndarray, start: int, times_s: np.ndarray) -> np.ndarray:
        """A window's frames (F, D) at times (N,) of the sound, in seconds, interpolated linearly: (N, D).

        start: the window's first sample. A frame belongs to the centre of its reach: frame i of wav2vec 2.0,
        of 400 samples every 320, to 12.5 ms + i x 20 ms after the start. The first and the last frame hold
        beyond their centres.
        """
        position = (times_s * RATE_HZ - start - self.reach / 2) / self.hop
        position = position.clip(0, len(frames) - 1)
        before = position.astype(np.int64)
        after = np.minimum(before + 1, len(frames) - 1)
        weight = (position - before).astype(np.float32)[:, np.newaxis]
        return frames[before] * (1 - weight) + frames[after] * weight


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Window k covers the seconds from k x step_s - before_s to k x step_s + after_s."""

    step_s: float
    before_s: float
    after_s: float

    def span(self, k: int, n_samples: int) -> Span:
        """The samples of window k, cut at the ends of the sound."""
        start = round((k * self.step_s - self.before_s) * RATE_HZ)
        end = round((k * self.step_s + self.after_s) * RATE_HZ)
        return max(start, 0), min(end, n_samples)


def batches(
    samples: np.ndarray, spans: Sequence[Span], size: int, min_samples: int
) -> Iterator[tuple[slice, np.ndarray]]:
    """Windows of equal lengths together: their places in `spans` and their samples (B, L).

    samples: (S,) float32. size: at most so many. Windows below min_samples are padded with zeros at the end.
    """
    first = 0
    while first < len(spans):
        length = spans[first][1] - spans[first][0]
        end = first
        while end < min(len(spans), first + size) and spans[end][1] - spans[end][0] == length:
            end += 1
        windows = np.zeros((end - first, max(length, min_samples)), np.float32)
        for row, (start, stop) in enumerate(spans[first:end]):
            windows[row, :length] = samples[start:stop]
        yield slice(first, end), windows
        first = end
