"""Counts and latencies of a live run, in constant memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

BIN_S = 0.001
N_BINS = 20_000


class LatencyMeter:
    """A histogram of latencies in steps of BIN_S; those of more than N_BINS steps share the last one."""

    def __init__(self) -> None:
        self._counts = np.zeros(N_BINS, np.int64)
        self.worst_s = 0.0

    def add(self, latencies_s: np.ndarray) -> None:
        """Add latencies (N,); NaN is left out."""
        known = latencies_s[np.isfinite(latencies_s)].clip(0)
        if len(known):
            bins = np.minimum((known / BIN_S).astype(np.int64), N_BINS - 1)
            np.add.at(self._counts, bins, 1)
            self.worst_s = max(self.worst_s, float(known.max()))

    def quantile_s(self, fraction: float) -> float:
        """The upper edge of the step that has the quantile; NaN without a latency."""
        total = int(self._counts.sum())
        if not total:
            return float("nan")
        at = int(np.searchsorted(np.cumsum(self._counts), fraction * total))
        return min((at + 1) * BIN_S, self.worst_s)

    def text(self) -> str:
        """The median, the 95th percentile and the worst latency in one line."""
        if not self._counts.any():
            return "no latency yet"
        p50, p95 = (1000 * self.quantile_s(q) for q in (0.5, 0.95))
        return f"latency {p50:.0f} ms median, {p95:.0f} ms p95, {1000 * self.worst_s:.0f} ms worst"


@dataclass
class LiveStatistics:
    """n_rows: written. n_dropped: frames without a row. flags: word -> number of rows."""

    n_rows: int = 0
    n_dropped: int = 0
    flags: Counter[str] = field(default_factory=Counter)
    latency: LatencyMeter = field(default_factory=LatencyMeter)

    def text(self) -> str:
        """All of it in one line."""
        parts = [f"{self.n_rows} rows", f"{self.n_dropped} frames dropped", self.latency.text()]
        named = ", ".join(f"{word} {count}" for word, count in self.flags.most_common())
        return ", ".join(parts) + (f"; flags: {named}" if named else "")
