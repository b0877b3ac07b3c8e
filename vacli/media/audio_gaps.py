"""Long holes in a stream of sound, which cost nothing: what is cut out, and the clocks on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# A hole of up to this is kept as zeros; of a longer one this much and less than a second more, half at either
# edge. No feature looks as far, so that what is said of the rest is the same.
KEPT_S = 5
NAMED = 3


@dataclass(frozen=True)
class Cut:
    """What is left out of a hole. at_s: seconds on the clock without holes; length_s: whole seconds."""

    at_s: float
    length_s: int


class HoleCutter:
    """Moves pieces of sound to where they are without what is cut out before them."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._end = self._removed = 0  # samples
        self._cuts: list[Cut] = []

    @property
    def cuts(self) -> tuple[Cut, ...]:
        """So far, ascending."""
        return tuple(self._cuts)

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence about the holes; none where nothing is cut."""
        if not self._cuts:
            return ()
        at_s = clock_times(self.cuts, np.array([cut.at_s - KEPT_S / 2 for cut in self._cuts]))
        holes = [
            f"{length_s:.0f} s after {start_s:.1f} s"
            for start_s, length_s in zip(
                at_s[:NAMED], (cut.length_s + KEPT_S for cut in self._cuts), strict=False
            )
        ]
        more = f" and {len(self._cuts) - NAMED} more times" if len(self._cuts) > NAMED else ""
        return (f"its sound is missing for {', '.join(holes)}{more}",)

    def closed(self, first: int, end: int) -> int:
        """Where a piece from sample `first` to `end` begins; pieces come in ascending order."""
        hole = first - self._removed - self._end
        length_s = hole // self._rate_hz - KEPT_S
        if length_s > 0:
            self._cuts.append(Cut(self._end / self._rate_hz + KEPT_S / 2, length_s))
            self._removed += length_s * self._rate_hz
        self._end = end - self._removed
        return first - self._removed


def own_times(cuts: Sequence[Cut], times_s: np.ndarray) -> np.ndarray:
    """Times (N,) with holes as times without; what is in a cut becomes the moment of the cut."""
    times_s = np.asarray(times_s, np.float64)
    if not cuts:
        return times_s
    lengths_s = np.array([cut.length_s for cut in cuts], np.float64)
    before_s = np.concatenate([[0.0], np.cumsum(lengths_s)])
    starts_s = np.array([cut.at_s for cut in cuts]) + before_s[:-1]
    last = np.searchsorted(starts_s, times_s, side="right") - 1
    inside_s = np.minimum(times_s - starts_s[last.clip(0)], lengths_s[last.clip(0)])
    return times_s - np.where(last < 0, 0.0, before_s[last.clip(0)] + inside_s)


def clock_times(cuts: Sequence[Cut], own_s: np.ndarray) -> np.ndarray:
    """Times (N,) without holes as times with them: the inverse of `own_times` outside of cuts."""
    own_s = np.asarray(own_s, np.float64)
    if not cuts:
        return own_s
    removed_s = np.concatenate([[0.0], np.cumsum([cut.length_s for cut in cuts])])
    return own_s + removed_s[np.searchsorted([cut.at_s for cut in cuts], own_s, side="right")]
