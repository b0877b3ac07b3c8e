"""Detection of channels in opposite phase, whose mix would cancel the voice.

A microphone or cable with swapped poles inverts its channel. The mean with another channel is then silence,
or only their difference. The energy of the mix over some seconds shows this; there, channels are added with
the sign of their correlation.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from vacli.media.downmix import full_scale

OPPOSITE_PHASE = "its channels are in opposite phase; some are inverted so that their mix keeps the voice"
MAX_CHANNELS = 8  # the products of more channels are slow
CONTEXT_S = 1.0  # on each side of a batch
# Energy of the mix relative to that of uncorrelated channels. Equal channels have 2, a wide stereo mix has
# more than 0.5.
MIN_MIX_ENERGY = 0.3
MIN_RELATIVE_ENERGY = 0.01  # of the loudest batch; quieter ones, such as pauses, are not changed
MIN_REFERENCE_ENERGY = 0.25  # of the strongest channel; the first channel above it keeps its sign

Signs = np.ndarray | None  # (channels,) of 1 and -1; None if no channel is inverted


class PolarityDetector:
    """Collects the correlations of the channels of consecutive batches, also of different formats."""

    def __init__(self) -> None:
        self._products: list[np.ndarray | None] = []
        self._lengths_s: list[float] = []

    def add(self, samples: np.ndarray, weights: np.ndarray, length_s: float) -> None:
        """Add a batch (channels, S) of any sample format, with the weights of its mix."""
        self._products.append(_products(samples, weights))
        self._lengths_s.append(length_s)

    def signs(self) -> list[Signs]:
        """Return the signs of every batch, in order."""
        sums = [self._sum_in_context(at) for at in range(len(self._products))]
        loudest = max((float(np.trace(total)) for total in sums if total is not None), default=0.0)
        return [None if total is None else _signs(total, MIN_RELATIVE_ENERGY * loudest) for total in sums]

    def _sum_in_context(self, at: int) -> np.ndarray | None:
        """Return the sum of the products of batches of the same format within CONTEXT_S."""
        here = self._products[at]
        if here is None:
            return None
        total = here.copy()
        for step in (-1, 1):
            other, left_s = at + step, CONTEXT_S
            while 0 <= other < len(self._products) and left_s > 0:
                products = self._products[other]
                if products is None or products.shape != here.shape:
                    break
                total += products
                left_s -= self._lengths_s[other]
                other += step
        return total


class RunningPolarity:
    """The signs of the channels of sound that is still arriving, from its last 2 * CONTEXT_S."""

    def __init__(self) -> None:
        self._recent: deque[tuple[np.ndarray, float]] = deque()
        self._loudest = 0.0

    def signs(self, samples: np.ndarray, weights: np.ndarray, length_s: float) -> Signs:
        """Return the signs of the next batch; arguments as of `PolarityDetector.add`."""
        products = _products(samples, weights)
        if products is None or (self._recent and self._recent[-1][0].shape != products.shape):
            self._recent.clear()
        if products is None:
            return None
        self._recent.append((products, length_s))
        while sum(length for _, length in self._recent) - self._recent[0][1] >= 2 * CONTEXT_S:
            self._recent.popleft()
        total = np.sum([one for one, _ in self._recent], axis=0)
        self._loudest = max(self._loudest, float(np.trace(total)))
        return _signs(total, MIN_RELATIVE_ENERGY * self._loudest)


def _products(samples: np.ndarray, weights: np.ndarray) -> np.ndarray | None:
    """Return the products of the weighted channels, (channels, channels), None for one or very many."""
    if not 1 < len(weights) <= MAX_CHANNELS:
        return None
    shares = samples.astype(np.float32)
    shares -= shares.mean(axis=1, keepdims=True)
    shares *= (weights / full_scale(samples.dtype)[0]).astype(np.float32)[:, np.newaxis]
    return (shares @ shares.T).astype(np.float64)


def _signs(products: np.ndarray, min_energy: float) -> Signs:
    """Return the signs of channels. products: (channels, channels), of the weighted channels."""
    energies = np.diag(products)
    uncorrelated = float(energies.sum())
    if uncorrelated <= min_energy or float(products.sum()) >= MIN_MIX_ENERGY * uncorrelated:
        return None
    reference = int(np.argmax(energies >= MIN_REFERENCE_ENERGY * energies.max()))
    return np.where(products[reference] < 0, -1.0, 1.0)
