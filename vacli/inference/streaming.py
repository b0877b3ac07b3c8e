"""The trajectory of a video while its rows are still being computed."""

from __future__ import annotations

import numpy as np

from vacli.inference.prediction import (
    Trajectory,
    VideoInput,
    audio_availability,
    check_widths,
    trajectory,
)
from vacli.inference.run import Run
from vacli.inference.voice import VoiceEvidence
from vacli.sequences import windows
from vacli.sequences.base import FeatureRows


class StreamingPredictor:
    """Emits a run's trajectory of one video in parts, each row once, as its rows become known.

    A row is final when all windows that cover it are known, so that the parts together equal
    `prediction.predict_sequence` for the whole video. A causal run also emits the beginning of the first
    window before its end is known. With a speech detector the context of a row must be known too.

    voice, difficulty: as in `prediction.VideoInput`; their arrays are filled like `rows`.
    """

    def __init__(
        self,
        run: Run,
        rows: FeatureRows,
        times_s: np.ndarray,
        voice: VoiceEvidence | None = None,
        difficulty: np.ndarray | None = None,
    ) -> None:
        check_widths(run, rows)
        self._run, self._rows, self._video = run, rows, VideoInput(rows, times_s, voice, difficulty)
        window = run.recipe.window
        self._starts = windows.plan(len(rows), window)
        self._ends = (self._starts + window.length_frames).clip(max=len(rows))
        self._ahead = run.postprocess.context_frames(times_s) // 2
        self._causal = not self._ahead and all(member.predictor.causal for member in run.members)
        self._kept = np.empty((0, windows.span(len(rows), window), len(run.members), 2), np.float32)
        self._n_windows = 0  # predicted so far, of which the last ones are kept
        self.n_emitted = 0  # rows

    @property
    def next_ready(self) -> int:
        """The number of known rows at which `advance` has new rows to emit."""
        if self._causal and not self.n_emitted:
            return min(1, len(self._rows))
        more = self._n_windows < len(self._ends)
        end = int(self._ends[self._n_windows]) if more else len(self._rows)
        return min(max(end, self.n_emitted + self._ahead + 1), len(self._rows))

    def advance(self, known: int) -> Trajectory:
        """The rows that are final once the first `known` rows are known, and were not emitted before.

        Empty below `next_ready`. Rows from `known` on may have any value.
        """
        ready = int(np.searchsorted(self._ends, known, side="right"))
        if ready > self._n_windows:
            self._keep(self._windows(self._n_windows, ready))
            n_final = len(self._rows)
            if ready < len(self._starts):
                n_final = min(int(self._starts[ready]), known - self._ahead)
            if n_final > self.n_emitted:
                starts = self._starts[ready - len(self._kept) : ready]
                needed = starts < n_final
                return self._emit(self._kept[needed], starts[needed], n_final)
        if self.n_emitted or not self._causal or not known:
            nothing = np.empty((len(self._run.members), 0, 2), np.float32)
            return self._trajectory(nothing, self.n_emitted)
        n_final = int(min([known, *self._starts[1:2]]))
        return self._emit(self._windows(0, 1, _FirstRows(self._rows, n_final)), self._starts[:1], n_final)

    def _windows(self, first: int, end: int, rows: FeatureRows | None = None) -> np.ndarray:
        """(W, L, M, 2) outputs of the run's M models."""
        rows = self._rows if rows is None else rows
        available = audio_availability(self._run, self._video.voice, self._video.difficulty)
        members = self._run.members
        return np.stack([m.predictor.windows(rows, first, end, available) for m in members], axis=2)

    def _keep(self, outputs: np.ndarray) -> None:
        """Append new windows and drop those that cover only emitted rows."""
        self._n_windows += len(outputs)
        kept = np.concatenate([self._kept, outputs])
        first = int(np.searchsorted(self._ends[: self._n_windows], self.n_emitted, side="right"))
        self._kept = kept[len(kept) - (self._n_windows - first) :]

    def _emit(self, outputs: np.ndarray, starts: np.ndarray, n_final: int) -> Trajectory:
        base = int(starts[0])
        values = windows.overlap_average(outputs, starts - base, n_final - base)
        values = values[self.n_emitted - base :].clip(-1.0, 1.0)
        first, self.n_emitted = self.n_emitted, n_final
        return self._trajectory(values.swapaxes(0, 1), first)

    def _trajectory(self, outputs: np.ndarray, first: int) -> Trajectory:
        return trajectory(self._run, self._video, outputs, first)


class _FirstRows:
    """The first rows of a video as if it ended there, which suffices for a causal model."""

    labels = None

    def __init__(self, rows: FeatureRows, count: int) -> None:
        self.video, self.dims, self.fill = rows.video, rows.dims, rows.fill
        self._count = count

    def __len__(self) -> int:
        return self._count
