"""Windows of equal length over a sequence, and the sequence that they average to."""

from __future__ import annotations

import numpy as np

from vacli.errors import UsageError
from vacli.recipe.schema import Window


def plan(frames: int, window: Window) -> np.ndarray:
    """First frames of the windows that cover a sequence.

    Windows start every `stride_frames`. The last one is moved back to end at the last frame, so that no
    frame is dropped. A sequence shorter than a window has one window, which is padded at its end.
    Returns: (W,) int64, ascending. Raises UsageError where a stride would leave gaps or `smooth_frames` is
    negative.
    """
    length, stride = window.length_frames, window.stride_frames
    if not 1 <= stride <= length:
        raise UsageError(
            f"window.stride_frames is {stride}, the length {length}", hint="give a stride of 1 to the length"
        )
    if window.smooth_frames < 0:
        raise UsageError(f"window.smooth_frames is {window.smooth_frames}", hint="give 0 for no smoothing")
    last = max(frames - length, 0)
    starts = np.arange(0, last + 1, stride, dtype=np.int64)[: None if frames else 0]
    return np.append(starts, last) if frames and starts[-1] < last else starts


def span(frames: int, window: Window) -> int:
    """Frames of each window at prediction: a sequence shorter than a window needs no padding."""
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


def smooth(values: np.ndarray, real: np.ndarray, frames: int) -> np.ndarray:
    """Moving average over the real frames within `frames // 2` of each frame.

    values: (W, L, D). real: (W, L) bool. Returns: (W, L, D) of the values' type, 0 where not real.
    """
    length, half = values.shape[1], frames // 2
    kept = real[..., np.newaxis]
    total = np.cumsum(np.where(kept, values, 0), axis=1, dtype=np.float64)
    total, count = (np.pad(x, ((0, 0), (1, 0), (0, 0))) for x in (total, np.cumsum(kept, axis=1)))
    at = np.arange(length)
    first, end = np.maximum(at - half, 0), np.minimum(at + half + 1, length)
    mean = (total[:, end] - total[:, first]) / np.maximum(count[:, end] - count[:, first], 1)
    return np.where(kept, mean, 0).astype(values.dtype)


def overlap_average(windows: np.ndarray, starts: np.ndarray, frames: int) -> np.ndarray:
    """The sequence from (W, L, ...) windows; a frame in several windows has their mean.

    Returns: (frames, ...) of the windows' type, NaN outside the windows.
    """
    mean = np.full((frames, *windows.shape[2:]), np.nan, np.float64)
    seen = np.zeros(frames, np.int64)
    for window, start in zip(windows, starts, strict=True):
        here = slice(start, min(start + len(window), frames))
        part = window[: here.stop - start].astype(np.float64)
        seen[here] += 1
        count = seen[here].reshape(-1, *[1] * (part.ndim - 1))
        # A running mean keeps equal values exactly equal; a sum that is divided at the end does not.
        mean[here] = np.where(count == 1, part, mean[here] + (part - mean[here]) / count)
    return mean.astype(windows.dtype)
