"""Leave out frames of low quality, and count them by the factor that limits each."""

from __future__ import annotations

from collections import Counter

import numpy as np

from vacli.errors import UsageError
from vacli.output.frame_table import FrameTable, blank_below


class QualityFilter:
    """Makes frames with a quality below `threshold` frames without a prediction (`blank_below`).

    threshold: None leaves all frames as they are. Raises UsageError unless it is from 0 to 1.
    """

    def __init__(self, threshold: float | None) -> None:
        if threshold is not None and not 0 <= threshold <= 1:
            raise UsageError(f"--min-quality {threshold:g} is not from 0 to 1")
        self._threshold = threshold
        self._n_valid = 0
        self._unknown: Counter[str] = Counter()
        self._limits: Counter[str] = Counter()

    def __call__(self, table: FrameTable) -> FrameTable:
        """The table without predictions of low quality."""
        if self._threshold is None:
            return table
        below = table.below(self._threshold)
        self._n_valid += int(table.valid.sum())
        if "quality" not in table.columns:
            self._unknown[table.name] += 1
        limits = table.columns.get("quality_limit", np.full(len(table), "quality"))
        self._limits.update(limits[below].tolist())
        return blank_below(table, self._threshold)

    def merge(self, other: QualityFilter) -> None:
        """Add the counts of another filter of the same threshold."""
        self._n_valid += other._n_valid
        self._unknown.update(other._unknown)
        self._limits.update(other._limits)

    @property
    def report(self) -> str | None:
        """How many frames were left out and why, in one line; None without a threshold."""
        if self._threshold is None:
            return None
        count = self._limits.total()
        share = 100 * count / max(self._n_valid, 1)
        reasons = ", ".join(f"{name} {number}" for name, number in self._limits.most_common())
        text = f"{count} of {self._n_valid} frames ({share:.1f} %) have a quality below {self._threshold:g}"
        text += f" and are left out: {reasons}" if count else ""
        unknown = f"; no column quality in {len(self._unknown)} of the inputs" if self._unknown else ""
        return text + unknown
