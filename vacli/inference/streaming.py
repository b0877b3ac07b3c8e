"""A trajectory while its video is still being watched."""

from __future__ import annotations

import numpy as np

from vacli.inference.prediction import Trajectory, check_widths, judged_frames, trajectory
from vacli.inference.run import Run
from vacli.sequences import windows
from vacli.sequences.base import Rows


class Unfolding:
    """A run's trajectory of one video, told row by row as its rows come, each once and for good.

    A row is settled when all windows that cover it are known, so that what is told is what
    `inference.predict_sequence` says of the whole. A causal run also tells the beginning of the first window
    before its end is known. Where sound is judged to be speech or not, so must be what is around a row.
    """

    def __init__(self, run: Run, rows: Rows, times_s: np.ndarray) -> None:
        check_widths(run, rows)
        self._run, self._rows, self._times_s = run, rows, times_s
        window = run.recipe.window
        self._starts = windows.plan(len(rows), window)
        self._ends = (self._starts + window.length_frames).clip(max=len(rows))
        self._ahead = judged_frames(run, times_s) // 2
        self._causal = not self._ahead and all(member.predictor.causal for member in run.members)
        self._kept = np.empty((0, windows.span(len(rows), window), len(run.members), 2), np.float32)
        self._made = 0  # windows so far, of which the last ones are kept
        self.told = 0  # rows

    @property
    def due(self) -> int:
        """With how many known rows there is something new to tell."""
        if self._causal and not self.told:
            return min(1, len(self._rows))
        end = int(self._ends[self._made]) if self._made < len(self._ends) else len(self._rows)
        return min(max(end, self.told + self._ahead + 1), len(self._rows))

    def upto(self, known: int) -> Trajectory:
        """What the first `known` rows settle beyond what was told, which is nothing below `due`. The
        other rows may be anything.
        """
        ready = int(np.searchsorted(self._ends, known, side="right"))
        if ready > self._made:
            self._add(self._windows(self._made, ready))
            settled = len(self._rows)
            if ready < len(self._starts):
                settled = min(int(self._starts[ready]), known - self._ahead)
            if settled > self.told:
                starts = self._starts[ready - len(self._kept) : ready]
                reaching = starts < settled
                return self._tell(self._kept[reaching], starts[reaching], settled)
        if self.told or not self._causal or not known:
            nothing = np.empty((len(self._run.members), 0, 2), np.float32)
            return trajectory(self._run, self._rows, self._times_s, nothing, self.told)
        settled = int(min([known, *self._starts[1:2]]))
        return self._tell(self._windows(0, 1, _Beginning(self._rows, settled)), self._starts[:1], settled)

    def _windows(self, first: int, end: int, rows: Rows | None = None) -> np.ndarray:
        """(W, L, M, 2) by the run's M models."""
        rows = self._rows if rows is None else rows
        return np.stack([m.predictor.windows(rows, first, end) for m in self._run.members], axis=2)

    def _add(self, made: np.ndarray) -> None:
        """Keep new windows, and of the old ones those that cover what is not told yet."""
        self._made += len(made)
        kept = np.concatenate([self._kept, made])
        first = int(np.searchsorted(self._ends[: self._made], self.told, side="right"))
        self._kept = kept[len(kept) - (self._made - first) :]

    def _tell(self, made: np.ndarray, starts: np.ndarray, settled: int) -> Trajectory:
        base = int(starts[0])
        values = windows.stitch(made, starts - base, settled - base)[self.told - base :].clip(-1.0, 1.0)
        told, self.told = self.told, settled
        return trajectory(self._run, self._rows, self._times_s, values.swapaxes(0, 1), told)


class _Beginning:
    """The first rows of a video, as if there were no more: enough for a causal model."""

    labels = None

    def __init__(self, rows: Rows, count: int) -> None:
        self.video, self.dims, self.fill = rows.video, rows.dims, rows.fill
        self._count = count

    def __len__(self) -> int:
        return self._count
