"""The motion and the opening of the mouth of one face track, at a constant rate."""

from __future__ import annotations

import numpy as np

from vacli.clock import bracket
from vacli.faces.lower_face import mouth_motion, mouth_opening

GRID_HZ = 25  # of the points at which the mouth and the sound are compared
MAX_STEP_S = 0.25  # between two frames; mouths move too far in a longer time
MAX_PENDING = 64  # pictures of lower faces in memory


def sampling_stride(rate_hz: float) -> int:
    """Every which frame the mouth is sampled: at least GRID_HZ of 50 or more frames a second."""
    return max(1, int(rate_hz / GRID_HZ + 0.01)) if np.isfinite(rate_hz) else 1


class MouthTrack:
    """Collects the sampled frames of one track; frames are numbered by sample, from 0."""

    def __init__(self) -> None:
        self._samples: list[int] = []
        self._times_s: list[float] = []
        self._motion: list[float] = [np.nan]
        self._opening: list[float] = []
        self._landmarks: list[np.ndarray] = []  # whose opening is not measured yet
        self._pending: list[np.ndarray] = []  # lower faces; the first one belongs to the last known motion

    def add(self, sample: int, time_s: float, lower_face: np.ndarray, landmarks: np.ndarray) -> None:
        """Add a lower face, of `lower_face.sample_lower_face`, with the landmarks (5, 2) of its frame."""
        self._samples.append(sample)
        self._times_s.append(time_s)
        self._landmarks.append(landmarks)
        self._pending.append(lower_face)
        if len(self._pending) > MAX_PENDING:
            self._measure()

    def forget(self, before_s: float) -> None:
        """Drop the frames before a time, except the last one."""
        self._measure()
        n_old = min(int(np.searchsorted(self._times_s, before_s)), len(self._times_s) - 1)
        for values in (self._samples, self._times_s, self._motion, self._opening):
            del values[:n_old]

    def span(self) -> tuple[int, int]:
        """The first grid point of the track, and the one after its last."""
        return int(np.ceil(self._times_s[0] * GRID_HZ)), int(self._times_s[-1] * GRID_HZ) + 1

    def on_grid(self, first: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        """(N,) square root of the motion and (N,) opening at the grid points from `first` up to `end`.

        Linear between successive frames, NaN where one of them lacks the face or is too far away. A value
        never changes once a frame at or after its time was read.
        """
        self._measure()
        grid_s = np.arange(first, end) / GRID_HZ
        low = max(int(np.searchsorted(self._times_s, grid_s[0])) - 1, 0)
        high = int(np.searchsorted(self._times_s, grid_s[-1])) + 1
        times_s, samples = np.array(self._times_s[low:high]), np.array(self._samples[low:high])
        left, right, weight = bracket(grid_s, times_s)
        near = (samples[right] - samples[left] <= 1) & (times_s[right] - times_s[left] <= MAX_STEP_S)
        near &= (times_s[left] <= grid_s) & (grid_s <= times_s[right])

        def sampled(values: list[float]) -> np.ndarray:
            own = np.array(values[low:high])
            mixed = np.where(weight > 0, own[left] * (1 - weight) + own[right] * weight, own[left])
            return np.where(near, mixed, np.nan)

        return np.sqrt(sampled(self._motion)), sampled(self._opening)

    def _measure(self) -> None:
        """Measure the pending openings, and the motion between the pending lower faces."""
        if self._landmarks:
            self._opening += mouth_opening(np.stack(self._landmarks)).tolist()
            self._landmarks.clear()
        if len(self._pending) < 2:
            return
        count = len(self._pending)
        times_s, samples = np.array(self._times_s[-count:]), np.array(self._samples[-count:])
        steps_s = np.diff(times_s)
        motion = mouth_motion(np.stack(self._pending), steps_s)
        known = (np.diff(samples) == 1) & (steps_s <= MAX_STEP_S)
        self._motion += np.where(known, motion, np.nan).tolist()
        self._pending = self._pending[-1:]
