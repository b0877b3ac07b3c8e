"""Which of the visible faces speaks: motion and opening of the mouth are compared with the sound.

At each point of a grid of 25 Hz, a window from WINDOW_BEFORE before it to WINDOW_AFTER after it is examined:

- the correlation of the mouth's motion with the level of the sound, which starts and ends with the speech;
- the correlation of the mouth's opening with the level, both without slow changes, which follows the
  syllables (Chandrasekaran et al., "The natural statistics of audiovisual speech", PLoS Computational
  Biology 5(7), 2009);
- the amount of motion during sound.

Their weighted sum is the log odds of a face against a voice from outside the picture. Sound and picture may
be shifted against each other: the shift with the highest sum counts, less a penalty for unusual shifts. The
faces of a frame and the voice from outside share the probability (softmax). The result is multiplied with
the activity of the sound.

The weights are fitted by logistic regression on clips of three recordings (GRID, CREMA-D), with the mouths
of other speakers, of shifted copies and of still faces as negative examples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import numpy as np

from vacli.clock import median_rate_hz
from vacli.faces.face_frame import FaceFrame
from vacli.media.speech_level import SpeechLevel
from vacli.pipeline.mouth_track import GRID_HZ, MouthTrack, sampling_stride

WINDOW_BEFORE, WINDOW_AFTER = 37, 20  # grid points: 1.5 s and 0.8 s
ACTIVITY_WINDOW = 15  # grid points before and after, 0.6 s
MIN_POINTS = 12  # of a window with a face
MIN_SHIFT, MAX_SHIFT, USUAL_SHIFT = -5, 6, 1  # grid points by which the sound follows the mouth
SHIFT_PENALTY = 0.12  # per square of the deviation from USUAL_SHIFT
MOTION_STD, SLOW_STD = 0.8, 6.0  # grid points, of Gaussian filters
MOTION_OFFSET = 0.02
BIAS, MOTION_WEIGHT, OPENING_WEIGHT, AMOUNT_WEIGHT = -2.33, 3.14, 6.24, 1.60
ROUNDING = 1e-6  # grid points, of frame times
SPEAKING = 0.5  # a face speaks from this value on
BLOCK = 64  # grid points that are computed together; always the same ones, so that parts equal the whole
_WIDTH = WINDOW_BEFORE + 1 + WINDOW_AFTER
_SHIFTS = np.arange(MIN_SHIFT, MAX_SHIFT + 1)


def grid_times(times_s: np.ndarray) -> np.ndarray:
    """(G,) seconds: the grid points from 0 to the last of ascending times (N,)."""
    return np.arange(nearest_points(times_s[-1:])[0] + 1 if len(times_s) else 0) / GRID_HZ


class ActiveSpeaker:
    """Collects the mouths of all tracks of a video and compares them with its sound.

    times_s: (N,) of its frames. stride: every so many frames the mouths are sampled.
    """

    def __init__(self, times_s: np.ndarray) -> None:
        self._times_s = times_s
        self.stride = sampling_stride(median_rate_hz(times_s))
        self._tracks: dict[int, MouthTrack] = {}

    def add(self, frame: FaceFrame) -> None:
        """Add a frame, whose faces have a `lower_face` if it is one of those that are sampled."""
        for face in frame.faces:
            if face.lower_face is not None:
                track = self._tracks.setdefault(face.track_id, MouthTrack())
                track.add(frame.index // self.stride, frame.time_s, face.lower_face, face.landmarks)

    def n_final(self, frames: int) -> int:
        """The number of rows whose `speaking` no longer changes once `frames` frames have been read."""
        if frames >= len(self._times_s):
            return len(self._times_s)
        sampled_s = self._times_s[max(frames - 1, 0) // self.stride * self.stride]
        known = int(sampled_s * GRID_HZ - ROUNDING) - WINDOW_AFTER
        return int(np.searchsorted(nearest_points(self._times_s[:frames]), known, side="right"))

    def speaking(self, track_id: int, times_s: np.ndarray, level: SpeechLevel) -> np.ndarray:
        """The degree to which one face speaks at ascending times (N,), from 0 to 1.

        level: at `grid_times` of the whole video. Returns: (N,) float64, NaN where the face is not seen for
        long enough around the time.
        """
        values = np.full(len(times_s), np.nan)
        for rows, points, span in self._blocks(times_s):
            shares = speaking_shares(self._tracks, span, level)
            if track_id in shares:
                values[rows] = shares[track_id][points]
        return values

    def others_speak(self, track_id: int, times_s: np.ndarray, level: SpeechLevel) -> np.ndarray:
        """(N,) bool: whether speech at ascending times (N,) is of another face. level: as for `speaking`."""
        speak = np.zeros(len(times_s), bool)
        for rows, points, span in self._blocks(times_s):
            shares = voice_shares(self._tracks, span, level)
            for other in shares.keys() - {track_id}:
                speak[rows] |= shares[other][points] >= SPEAKING
        return speak

    def _blocks(self, times_s: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, tuple[int, int]]]:
        """For each block its rows of ascending times (N,), their places in it, and its grid points."""
        points = nearest_points(times_s) if len(times_s) and self._tracks else np.zeros(0, int)
        for block in np.unique(points // BLOCK):
            rows = np.flatnonzero(points // BLOCK == block)
            start = int(block) * BLOCK
            yield rows, points[rows] - start, (start, start + BLOCK)

    def durations_s(self, level: SpeechLevel) -> dict[int, float]:
        """Track -> for how many seconds it speaks."""
        times_s = np.arange(len(level.activity)) / GRID_HZ
        return {
            track_id: float((self.speaking(track_id, times_s, level) >= SPEAKING).sum() / GRID_HZ)
            for track_id in self._tracks
        }


Shares: TypeAlias = Callable[[Mapping[int, MouthTrack], tuple[int, int], SpeechLevel], dict[int, np.ndarray]]


def speaking_shares(
    tracks: Mapping[int, MouthTrack], span: tuple[int, int], level: SpeechLevel
) -> dict[int, np.ndarray]:
    """Track -> (N,) the degree to which it speaks at the grid points of a span (first, end).

    Tracks without a mouth near the span have none.
    """
    activity = _activity(span, level)
    return {track_id: own * activity for track_id, own in voice_shares(tracks, span, level).items()}


def voice_shares(
    tracks: Mapping[int, MouthTrack], span: tuple[int, int], level: SpeechLevel
) -> dict[int, np.ndarray]:
    """Track -> (N,) the probability that sound at the grid points of a span (first, end) is its voice.

    It is 0 where there is no sound above the background.
    """
    first, end = span
    odds = {
        track_id: log_odds(*track.on_grid(first - WINDOW_BEFORE, end + WINDOW_AFTER), level, first)
        for track_id, track in tracks.items()
        if track.span()[0] < end + WINDOW_AFTER and track.span()[1] > first - WINDOW_BEFORE
    }
    total = np.logaddexp.reduce([np.zeros(end - first), *map(_without_nan, odds.values())])
    is_sound = _activity(span, level) > 0
    return {track_id: np.exp(own - total) * is_sound for track_id, own in odds.items()}


def _activity(span: tuple[int, int], level: SpeechLevel) -> np.ndarray:
    return _padded(level.activity, span[0] - level.first, span[1] - span[0])


def log_odds(motion: np.ndarray, opening: np.ndarray, level: SpeechLevel, start: int) -> np.ndarray:
    """(N,) log odds of a face at the grid points from `start` on, NaN where it is seen too briefly.

    motion, opening: (N + 57,) of `MouthTrack.on_grid`, with the windows of the first and of the last point.
    """
    count, offset = len(motion) - _WIDTH + 1, start - level.first
    is_seen = ~np.isnan(motion) & ~np.isnan(opening)
    seen = _windows(is_seen, _WIDTH)
    moved, opened = (_windows(np.where(is_seen, x, 0.0), _WIDTH) for x in (motion, opening))
    near = _filtered(moved, seen, MOTION_STD)
    syllables = _filtered(opened, seen, MOTION_STD) - _filtered(opened, seen, SLOW_STD)
    margin = round(3 * SLOW_STD)
    first = offset - WINDOW_BEFORE + MIN_SHIFT - margin
    level_db = _padded(level.level_db, first, count + _WIDTH - 1 + len(_SHIFTS) - 1 + 2 * margin)
    fast = _gaussian(level_db, MOTION_STD, margin) - _gaussian(level_db, SLOW_STD, margin)
    sums = MOTION_WEIGHT * _correlation(near, seen, _shifted(level_db[margin:-margin]))
    sums += OPENING_WEIGHT * _correlation(syllables, seen, _shifted(fast))
    best = (sums - SHIFT_PENALTY * np.square(_SHIFTS - USUAL_SHIFT)).max(axis=1)
    activity = _windows(_padded(level.activity, offset - WINDOW_BEFORE, count + _WIDTH - 1), _WIDTH)
    middle = slice(WINDOW_BEFORE - ACTIVITY_WINDOW, WINDOW_BEFORE + ACTIVITY_WINDOW + 1)
    weight = (activity * seen)[:, middle] + 1e-3 * seen[:, middle]
    amount = (moved[:, middle] * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-9)
    odds = BIAS + best + AMOUNT_WEIGHT * np.log(amount + MOTION_OFFSET)
    return np.where(seen.sum(axis=1) >= MIN_POINTS, odds, np.nan)


def nearest_points(times_s: np.ndarray) -> np.ndarray:
    """The grid points (N,) nearest to times (N,)."""
    return np.maximum(np.floor(times_s * GRID_HZ + 0.5), 0).astype(np.int64)


def _without_nan(odds: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(odds), -np.inf, odds)


def _padded(values: np.ndarray, first: int, count: int) -> np.ndarray:
    """`count` values from index `first` on; the ends continue outside."""
    return values[np.arange(first, first + count).clip(0, len(values) - 1)]


def _windows(values: np.ndarray, width: int, axis: int = 0) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(values, width, axis)


def _shifted(level: np.ndarray) -> np.ndarray:
    """(N, shifts, window) from the levels of N points and of the shifts around them."""
    by_shift = _windows(level, len(level) - len(_SHIFTS) + 1)
    return np.ascontiguousarray(_windows(by_shift, _WIDTH, 1)).transpose(1, 0, 2)


def _gaussian(values: np.ndarray, std: float, margin: int) -> np.ndarray:
    """The values without `margin` at both ends, filtered."""
    kernel = np.exp(-0.5 * np.square(np.arange(-margin, margin + 1) / std))
    return np.convolve(values, kernel / kernel.sum(), "valid")


def _filtered(windows: np.ndarray, seen: np.ndarray, std: float) -> np.ndarray:
    """Filter each window (N, W) with a Gaussian, over the points that are `seen`."""
    points = np.arange(windows.shape[1])
    kernel = np.exp(-0.5 * np.square((points[:, np.newaxis] - points) / std))
    return (windows @ kernel) / np.maximum(seen.astype(float) @ kernel, 1e-9)


def _correlation(mouth: np.ndarray, seen: np.ndarray, level: np.ndarray) -> np.ndarray:
    """(N, S) correlations over the points that are `seen`. mouth, seen: (N, W). level: (N, S, W)."""
    count = np.maximum(seen.sum(axis=1, keepdims=True), 1)
    centred = np.where(seen, mouth - (mouth * seen).sum(axis=1, keepdims=True) / count, 0.0)
    weights = seen.astype(float)
    mean = np.einsum("nw,nsw->ns", weights, level) / count
    squares = np.einsum("nw,nsw,nsw->ns", weights, level, level) - count * mean**2
    power = np.square(centred).sum(axis=1, keepdims=True) * np.maximum(squares, 0.0)
    return np.einsum("nw,nsw->ns", centred, level) / np.sqrt(np.maximum(power, 1e-12))
