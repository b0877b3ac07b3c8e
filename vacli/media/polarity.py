"""Channels in opposite phase, whose mix would take the voice away.

One microphone or cable with its poles exchanged makes a channel the other's negative. Their mean is then
silence, or what little they do not share. The energies of some seconds of
sound show it; there, channels are added with the sign that they have to each other.
"""

from __future__ import annotations

import numpy as np

from vacli.media.downmix import full_scale

MOST_CHANNELS = 8  # of more, a mean says little, and their products cost much
AROUND_S = 1.0  # to each side, which decide for a batch
# Energy of the mix over that of channels that know nothing of each other. Equal channels make 2, a sound
# that is wide on purpose over 0.5.
LEAST_LEFT = 0.3
FAINTEST = 0.01  # of the loudest seconds: what is in pauses decides nothing
NOTABLE = 0.25  # of the strongest channel's share: the first such one keeps its sign

Signs = np.ndarray | None  # (channels,) of 1 and -1; None where all are added as they are


class PhaseLog:
    """What the channels of consecutive batches of sound have in common; batches may differ in form."""

    def __init__(self) -> None:
        self._products: list[np.ndarray | None] = []
        self._lengths_s: list[float] = []

    def add(self, samples: np.ndarray, weights: np.ndarray, length_s: float) -> None:
        """Take a batch (channels, S) of any unit, and the weights by which it is mixed."""
        products = None
        if 1 < len(weights) <= MOST_CHANNELS:
            shares = samples.astype(np.float32)
            shares -= shares.mean(axis=1, keepdims=True)
            shares *= (weights / full_scale(samples.dtype)[0]).astype(np.float32)[:, np.newaxis]
            products = (shares @ shares.T).astype(np.float64)
        self._products.append(products)
        self._lengths_s.append(length_s)

    def signs(self) -> list[Signs]:
        """Of every batch, in the order in which they came."""
        sums = [self._around(at) for at in range(len(self._products))]
        loudest = max((float(np.trace(total)) for total in sums if total is not None), default=0.0)
        return [None if total is None else _signs(total, FAINTEST * loudest) for total in sums]

    def _around(self, at: int) -> np.ndarray | None:
        """Sum of the products of like batches within AROUND_S."""
        here = self._products[at]
        if here is None:
            return None
        total = here.copy()
        for step in (-1, 1):
            other, left_s = at + step, AROUND_S
            while 0 <= other < len(self._products) and left_s > 0 and _alike(self._products[other], here):
                total += self._products[other]
                left_s -= self._lengths_s[other]
                other += step
        return total


def _alike(other: np.ndarray | None, here: np.ndarray) -> bool:
    return other is not None and other.shape == here.shape


def _signs(products: np.ndarray, faintest: float) -> Signs:
    """products: (channels, channels) of the channels' shares in the mix."""
    energies = np.diag(products)
    apart = float(energies.sum())
    if apart <= faintest or float(products.sum()) >= LEAST_LEFT * apart:
        return None
    reference = int(np.argmax(energies >= NOTABLE * energies.max()))
    return np.where(products[reference] < 0, -1.0, 1.0)
