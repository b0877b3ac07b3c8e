"""Samples that no sound has: infinite ones, ones that are not numbers, and ones far above full scale.

Damaged files of float samples hold them, and programs that divide by zero write them. A single one would make
the levels, the gain and the mix of a whole recording infinite or NaN.
"""

from __future__ import annotations

import numpy as np

MAX_SAMPLE = 2.0**15  # of full scale 1; some programs write 16-bit integers as floats without scaling them


def usable_samples(samples: np.ndarray) -> tuple[np.ndarray, int]:
    """Return samples of any shape and format with zeros for those that no sound has, and their number.

    The array is returned itself if all of its samples are usable.
    """
    if samples.dtype.kind != "f" or not samples.size or np.abs(samples).max() <= MAX_SAMPLE:  # NaN: False
        return samples, 0
    usable = np.abs(samples) <= MAX_SAMPLE
    return np.where(usable, samples, samples.dtype.type(0)), samples.size - int(np.count_nonzero(usable))


class SampleCheck:
    """Replaces unusable samples of successive batches by zeros, and counts them in `n_unusable`."""

    def __init__(self) -> None:
        self.n_unusable = self._n_samples = 0

    def usable(self, samples: np.ndarray) -> np.ndarray:
        """Return a batch, of any shape and format, with zeros for its unusable samples."""
        usable, n_unusable = usable_samples(samples)
        self.n_unusable += n_unusable
        self._n_samples += samples.size
        return usable

    @property
    def notes(self) -> tuple[str, ...]:
        """Return a sentence about the unusable samples; empty if there are none."""
        if not self.n_unusable:
            return ()
        is_one = self.n_unusable == 1
        what, they_count = ("is not a number", "it counts") if is_one else ("are not numbers", "they count")
        share = f"{self.n_unusable:,} of {self._n_samples:,} samples of its sound"
        return (f"{share} {what} or far above full scale; {they_count} as silence",)
