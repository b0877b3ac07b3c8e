"""Episodes of one quadrant of the valence-arousal plane, and peaks of arousal.

The rule for episodes:

1. A span is a run of consecutive frames with a prediction. A frame without one (`modality` none) ends it, and
   so does a gap of the recording.
2. The signs of valence and of arousal change with hysteresis: a sign changes only when the value passes
   HYSTERESIS on the other side of zero. The first frame of a span has the sign of its own value.
3. Frames of equal signs form an episode. While a span has one shorter than MIN_EPISODE_S, and others, the
   shortest joins the longer one of its neighbours (the one before it if both are equally long).
4. The quadrant of an episode is that of the means of valence and arousal over its frames. Successive episodes
   of one quadrant are one.

So every frame with a prediction is in exactly one episode. See `frame_durations` for the end of a frame.

A peak is a local maximum of arousal within a span, with a prominence of at least PEAK_PROMINENCE and at least
PEAK_DISTANCE_S from a higher one.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.signal import find_peaks

from vacli.clock import median_step_s
from vacli.output.frame_durations import frame_durations, frame_edges
from vacli.output.frame_table import FrameTable

HYSTERESIS = 0.05
MIN_EPISODE_S = 0.5
PEAK_PROMINENCE = 0.2
PEAK_DISTANCE_S = 1.0
ROUNDING_S = 1e-9  # of differences of times
QUADRANTS = ("unpleasant, calm", "unpleasant, excited", "pleasant, calm", "pleasant, excited")

Run = tuple[int, int, int]  # first row, row after the last one, index into QUADRANTS


@dataclass(frozen=True)
class Episode:
    """A time in one quadrant, with the means of valence and arousal over its frames."""

    start_s: float
    end_s: float
    quadrant: str
    valence: float
    arousal: float

    @property
    def description(self) -> str:
        """The quadrant and the means in one line."""
        return f"{self.quadrant} (valence {self.valence:.2f}, arousal {self.arousal:.2f})"


@dataclass(frozen=True)
class Peak:
    """A local maximum of arousal."""

    time_s: float
    arousal: float


def quadrant_episodes(table: FrameTable) -> list[Episode]:
    """The episodes of one face in order; they do not overlap. Times in seconds on the table's clock."""
    times_s = table.columns["time_s"]
    starts_s, lengths_s = frame_edges(times_s)[:-1], frame_durations(times_s)
    valence, arousal = (table.columns[name].astype(np.float64) for name in ("valence", "arousal"))
    episodes = []
    for first, end in _spans(table):
        quadrants = 2 * _signs(valence[first:end]) + _signs(arousal[first:end])
        edges_s = np.append(starts_s[first:end], starts_s[end - 1] + lengths_s[end - 1])
        values = np.stack([valence[first:end], arousal[first:end]], axis=1)
        for a, b, quadrant in _by_means(_merge_short(_runs(quadrants, 0), edges_s), values):
            means = values[a:b].mean(axis=0).tolist()
            episodes.append(Episode(float(edges_s[a]), float(edges_s[b]), QUADRANTS[quadrant], *means))
    return episodes


def arousal_peaks(table: FrameTable) -> list[Peak]:
    """The peaks of arousal of one face in order."""
    times_s, arousal = table.columns["time_s"], table.columns["arousal"].astype(np.float64)
    distance = max(1.0, PEAK_DISTANCE_S / median_step_s(times_s))
    peaks = []
    for first, end in _spans(table):
        rows, _ = find_peaks(arousal[first:end], prominence=PEAK_PROMINENCE, distance=distance)
        peaks += [Peak(float(times_s[row]), float(arousal[row])) for row in first + rows]
    return peaks


def _spans(table: FrameTable) -> Iterator[tuple[int, int]]:
    """First row and row after the last one of each run of frames with a prediction, without a gap."""
    has_values = ~np.isnan(table.columns["valence"]) & ~np.isnan(table.columns["arousal"])
    times_s = table.columns["time_s"]
    is_before_gap = np.diff(times_s) > frame_durations(times_s)[:-1] + ROUNDING_S
    number = np.append(0, np.cumsum(is_before_gap))[: len(times_s)] + 1  # of the part between two gaps
    for first, end, part in _runs(np.where(table.valid & has_values, number, 0), 0):
        if part:
            yield first, end


def _signs(values: np.ndarray) -> np.ndarray:
    """(N,) of 0 and 1: the signs with hysteresis."""
    decisive = np.abs(values) > HYSTERESIS
    decisive[0] = True
    last_decisive = np.maximum.accumulate(np.where(decisive, np.arange(len(values)), 0))
    return (values >= 0)[last_decisive].astype(int)


def _runs(values: np.ndarray, offset: int) -> list[Run]:
    """The runs of equal values in a 1-D array whose first row has the number `offset`."""
    if not len(values):
        return []
    starts = np.flatnonzero(np.diff(values, prepend=values[0] - 1))
    ends = np.append(starts[1:], len(values))
    return [(offset + a, offset + b, int(values[a])) for a, b in zip(starts.tolist(), ends.tolist())]  # noqa: B905


def _merge_short(runs: list[Run], edges_s: np.ndarray) -> list[Run]:
    """The runs of a span after rule 3."""
    linked = _LinkedRuns(runs, edges_s)
    shortest = [(linked.length_s(index), index) for index in range(len(runs))]
    heapq.heapify(shortest)
    while shortest:
        length_s, index = heapq.heappop(shortest)
        if length_s >= MIN_EPISODE_S - ROUNDING_S:
            break
        if length_s == linked.length_s(index) and (into := linked.join_neighbour(index)) is not None:
            heapq.heappush(shortest, (linked.length_s(into), into))
    return linked.runs()


def _by_means(runs: list[Run], values: np.ndarray) -> list[Run]:
    """The runs of a span after rule 4. values: (N, 2) valence and arousal of its frames."""
    made: list[Run] = []
    for first, end, _ in runs:
        valence, arousal = values[first:end].mean(axis=0) >= 0
        quadrant = 2 * int(valence) + int(arousal)
        if made and made[-1][2] == quadrant:
            first = made.pop()[0]
        made.append((first, end, quadrant))
    return made


class _LinkedRuns:
    """The runs of a span, each with its neighbours, so that a merge takes constant time."""

    def __init__(self, runs: list[Run], edges_s: np.ndarray) -> None:
        self._runs: dict[int, Run] = dict(enumerate(runs))
        self._before = {index: index - 1 for index in range(len(runs))}
        self._after = {index: index + 1 for index in range(len(runs))}
        self._edges_s = edges_s

    def runs(self) -> list[Run]:
        """The runs that are left, in order."""
        return [self._runs[index] for index in sorted(self._runs)]

    def length_s(self, index: int) -> float:
        """The length of a run in seconds; -1 if it was merged into another."""
        if index not in self._runs:
            return -1.0
        first, end, _ = self._runs[index]
        return float(self._edges_s[end] - self._edges_s[first])

    def join_neighbour(self, index: int) -> int | None:
        """Merge a run into the longer neighbour, whose index is returned; None without a neighbour."""
        neighbours = [i for i in (self._before[index], self._after[index]) if i in self._runs]
        if not neighbours:
            return None
        into = max(neighbours, key=self.length_s)
        other = next((i for i in neighbours if i != into), None)
        self._merge(index, into)
        if other is not None and self._runs[other][2] == self._runs[into][2]:
            self._merge(other, into)
        return into

    def _merge(self, index: int, into: int) -> None:
        """Extend `into` by its neighbour `index`."""
        first, end, _ = self._runs.pop(index)
        own_first, own_end, quadrant = self._runs[into]
        self._runs[into] = (min(first, own_first), max(end, own_end), quadrant)
        before, after = self._before[index], self._after[index]
        self._after[before], self._before[after] = after, before
