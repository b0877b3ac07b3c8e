"""How long each frame of a table lasts."""

from __future__ import annotations

import numpy as np

from vacli.clock import median_step_s

NO_FRAMES = "no frames"  # in figures, in place of the modality in a gap of the recording
ROUNDING_S = 1e-5  # of tables
# A frame lasts no longer than the larger of both, so that a gap of the recording belongs to no frame.
MAX_FRAME_S, MAX_FRAME_STEPS = 1.0, 1.5  # median steps


def frame_edges(times_s: np.ndarray) -> np.ndarray:
    """(N + 1,) seconds: frame i is followed at edge i + 1, the last one after a median step.

    Times before 0 count as 0.
    """
    if not len(times_s):
        return np.zeros(1)
    return np.maximum(np.append(times_s, times_s[-1] + median_step_s(times_s)), 0.0)


def frame_durations(times_s: np.ndarray) -> np.ndarray:
    """(N,) seconds that each frame lasts: until the next one, at most MAX_FRAME_S or MAX_FRAME_STEPS."""
    longest_s = max(MAX_FRAME_S, MAX_FRAME_STEPS * median_step_s(times_s))
    return np.minimum(np.diff(frame_edges(times_s)), longest_s)


def recording_gaps(times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows (G,) after which the recording has a gap, and seconds (G,) at which these gaps begin."""
    ends_s = times_s[:-1] + frame_durations(times_s)[:-1]
    rows = np.flatnonzero(times_s[1:] - ends_s > ROUNDING_S)
    return rows, ends_s[rows]
