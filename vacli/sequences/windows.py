"""Cutting a sequence into windows of one length and putting it together again, no frame lost."""

from __future__ import annotations

import numpy as np

from vacli.errors import UsageError
from vacli.recipe import Window


def plan(frames: int, window: Window) -> np.ndarray:
    """First frames of the windows that cover a sequence.

    Windows start every `stride_frames`; the last one is moved back to end at the last frame, so the
    tail is never dropped. A sequence shorter than a window gets one, to be padded at its end.
    Returns: (W,) int64, ascending. Raises UsageError where a stride would leave gaps.
    """
    length, stride = window.length_frames, window.stride_frames
    if not 1 <= stride <= length:
        raise UsageError(
            f"windows of {length} frames every {stride}", hint="the stride must be between 1 and the length"
        )
    last = max(frames - length, 0)
    starts = np.arange(0, last + 1, stride, dtype=np.int64)[: None if frames else 0]
    return np.append(starts, last) if frames and starts[-1] < last else starts


def span(frames: int, window: Window) -> int:
    """Frames of each window in use: a sequence shorter than a window needs no padding for itself."""
    return min(window.length_frames, frames)


def cut(values: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
    """Windows of (T, ...) float values, padded with NaN after the end. Returns: (W, length, ...)."""
    windows = np.full((len(starts), length, *values.shape[1:]), np.nan, values.dtype)
    for window, start in zip(windows, starts, strict=True):
        part = values[start : start + length]
        window[: len(part)] = part
    return windows


def mask(frames: int, starts: np.ndarray, length: int) -> np.ndarray:
    """Which frames of the windows are real. Returns: (W, length) bool, False where padded."""
    return starts[:, None] + np.arange(length) < frames


def stitch(windows: np.ndarray, starts: np.ndarray, frames: int) -> np.ndarray:
    """Put (W, L, ...) windows together; frames that several cover get their mean.

    Returns: (frames, ...) of the windows' type, NaN where no window reaches.
    """
    mean = np.full((frames, *windows.shape[2:]), np.nan, np.float64)
    seen = np.zeros(frames, np.int64)
    for window, start in zip(windows, starts, strict=True):
        here = slice(start, min(start + len(window), frames))
        part = window[: here.stop - start].astype(np.float64)
        seen[here] += 1
        count = seen[here].reshape(-1, *[1] * (part.ndim - 1))
        # A running mean: equal values stay exactly equal, which a sum divided at the end does not keep.
        mean[here] = np.where(count == 1, part, mean[here] + (part - mean[here]) / count)
    return mean.astype(windows.dtype)
