"""Removal of long gaps in an audio stream, and the conversion of times between the two clocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# A shorter gap is kept as zeros. Of a longer one, whole seconds are removed, so that at least this much and
# less than a second more is left, half of it at either edge. No feature has a longer context, so the features
# of the rest do not change.
KEPT_GAP_S = 5
MAX_LISTED = 3


@dataclass(frozen=True)
class RemovedGap:
    """A removed part of a gap. at_s: seconds on the clock without gaps; length_s: whole seconds."""

    at_s: float
    length_s: int


class GapRemover:
    """Moves audio segments to their positions without the gaps before them."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._end = self._removed = 0  # samples
        self._gaps: list[RemovedGap] = []

    @property
    def removed_gaps(self) -> tuple[RemovedGap, ...]:
        """Return the gaps removed so far, ascending."""
        return tuple(self._gaps)

    @property
    def notes(self) -> tuple[str, ...]:
        """Return a sentence about the gaps; empty if none is removed."""
        if not self._gaps:
            return ()
        at_s = to_frame_clock(self.removed_gaps, np.array([gap.at_s - KEPT_GAP_S / 2 for gap in self._gaps]))
        lengths_s = [gap.length_s + KEPT_GAP_S for gap in self._gaps]
        listed = zip(at_s[:MAX_LISTED], lengths_s, strict=False)
        gaps = ", ".join(f"{length_s:.0f} s after {start_s:.1f} s" for start_s, length_s in listed)
        more = f" and {len(self._gaps) - MAX_LISTED} more times" if len(self._gaps) > MAX_LISTED else ""
        return (f"its sound is missing for {gaps}{more}",)

    def shift(self, first: int, end: int) -> int:
        """Return the new first sample of a segment from sample `first` to `end`; segments must ascend."""
        gap = first - self._removed - self._end
        length_s = gap // self._rate_hz - KEPT_GAP_S
        if length_s > 0:
            self._gaps.append(RemovedGap(self._end / self._rate_hz + KEPT_GAP_S / 2, length_s))
            self._removed += length_s * self._rate_hz
        self._end = end - self._removed
        return first - self._removed


def to_audio_clock(gaps: Sequence[RemovedGap], times_s: np.ndarray) -> np.ndarray:
    """Convert times (N,) of frames to the clock without gaps; all times in a removed gap become one."""
    times_s = np.asarray(times_s, np.float64)
    if not gaps:
        return times_s
    lengths_s = np.array([gap.length_s for gap in gaps], np.float64)
    before_s = np.concatenate([[0.0], np.cumsum(lengths_s)])
    starts_s = np.array([gap.at_s for gap in gaps]) + before_s[:-1]
    last = np.searchsorted(starts_s, times_s, side="right") - 1
    inside_s = np.minimum(times_s - starts_s[last.clip(0)], lengths_s[last.clip(0)])
    return times_s - np.where(last < 0, 0.0, before_s[last.clip(0)] + inside_s)


def to_frame_clock(gaps: Sequence[RemovedGap], audio_s: np.ndarray) -> np.ndarray:
    """Convert times (N,) without gaps to times of frames, the inverse of `to_audio_clock`."""
    audio_s = np.asarray(audio_s, np.float64)
    if not gaps:
        return audio_s
    removed_s = np.concatenate([[0.0], np.cumsum([gap.length_s for gap in gaps])])
    return audio_s + removed_s[np.searchsorted([gap.at_s for gap in gaps], audio_s, side="right")]
