"""Times of annotated rows in seconds, milliseconds, frame numbers or timecodes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vacli.clock import interpolate
from vacli.errors import LabelError

TIMECODE = re.compile(r"(?:(\d+):)?(\d+):(\d+)(?:[.,](\d+)|[:;](\d+))?")
FAR_BEYOND = 3.0  # in durations of the video: rows that end later have another unit
UNIT_SCALES = {"ms": 1e-3, "s": 1.0}
LIKELY = (0.5, 1.5)  # duration of the rows over that of the video, where a unit is the likely one


@dataclass(frozen=True, eq=False, kw_only=True)
class FrameTimes:
    """Times that depend on the frames of the video.

    frames: (R,) float64 frame numbers, or the last field of timecodes HH:MM:SS:FF. whole_s: (R,) the whole
    seconds of timecodes, None for frame numbers.
    """

    frames: np.ndarray
    whole_s: np.ndarray | None = None

    def seconds(self, times_s: np.ndarray, first_frame: int = 0) -> np.ndarray:
        """(R,) float64 seconds in a video with frames at times_s (N,); the first one has `first_frame`.

        Frames after the last one continue at the video's rate. A timecode counts whole frames a second, as
        SMPTE ST 12-1 does without dropped numbers: 30 at 29.97 Hz. Raises LabelError where a timecode has
        more frames a second than the video.
        """
        step_s = _frame_step_s(times_s)
        if self.whole_s is None:
            rows = self.frames - first_frame
            inside = np.clip(rows, 0, max(len(times_s) - 1, 0))
            on_frame = interpolate(inside, np.arange(len(times_s)), times_s[:, None])[:, 0]
            return on_frame + (rows - inside) * step_s
        count = round(1 / step_s)
        if len(self.frames) and self.frames.max() >= count:
            raise LabelError(
                f"a timecode has frame {self.frames.max():.0f}, the video {count} frames a second",
                hint="timecodes are HH:MM:SS:FF at the video's rate, or HH:MM:SS.mmm",
            )
        return times_s[0] + (self.whole_s * count + self.frames) * step_s


def parse_timecodes(texts: Sequence[str]) -> np.ndarray:
    """(R, 3) float64 of timecodes [HH:]MM:SS[.mmm] and HH:MM:SS:FF: whole seconds, fraction, frames.

    The frames are NaN in a timecode without them. Raises ValueError with the first text of another form.
    """
    return np.array([_timecode(text) for text in texts], np.float64).reshape(-1, 3)


def first_frame(times: Sequence[FrameTimes]) -> int:
    """The number of the first frame: 1 where frame 1 is annotated in some table and frame 0 in none."""
    lowest = [float(t.frames.min()) for t in times if t.whole_s is None and len(t.frames)]
    return int(bool(lowest) and min(lowest) == 1.0)


def check_unit(at_s: np.ndarray, times_s: np.ndarray, unit: str) -> None:
    """Raise LabelError where rows end far beyond the video, or in its first moments if they are in ms.

    at_s: (R,) seconds of the rows as `unit` gives them. times_s: (N,) seconds of the frames.
    """
    if not len(at_s) or not len(times_s):
        return
    duration_s = float(times_s[-1] - times_s[0]) + _frame_step_s(times_s)
    last_s = float(at_s[-1] - times_s[0])
    if unit == "ms" and LIKELY[0] <= last_s * 1000 / duration_s <= LIKELY[1]:
        raise LabelError(
            f"the last row is at {last_s:.4g} s of {duration_s:.1f} s", hint="seconds? give --unit s"
        )
    if last_s <= FAR_BEYOND * duration_s:
        return
    guess = _likely_unit(last_s, duration_s, times_s) if unit == "s" else None
    hints = {"ms": "milliseconds? give --unit ms", "frames": "frames? give --unit frames"}
    raise LabelError(
        f"the last row is at {last_s:.4g} s, far beyond the video's {duration_s:.1f} s",
        hint=hints.get(guess or "", "times start with the video; give their unit with --unit"),
    )


def seems_ms(at_s: np.ndarray, times_s: np.ndarray) -> bool:
    """Whether rows at at_s (R,) are far beyond frames at times_s (N,), and in milliseconds would fit them."""
    if len(at_s) < 2 or len(times_s) < 2:
        return False
    last_s, duration_s = float(at_s[-1] - times_s[0]), float(times_s[-1] - times_s[0])
    return LIKELY[0] <= last_s * UNIT_SCALES["ms"] / duration_s <= LIKELY[1]


def _likely_unit(last_s: float, duration_s: float, times_s: np.ndarray) -> str | None:
    scales = {"ms": UNIT_SCALES["ms"], "frames": _frame_step_s(times_s)}
    likely = {u: last_s * s / duration_s for u, s in scales.items()}
    fits = {u: abs(np.log(r)) for u, r in likely.items() if LIKELY[0] <= r <= LIKELY[1]}
    return min(fits, key=lambda u: fits[u], default=None)


def _frame_step_s(times_s: np.ndarray) -> float:
    """The mean step between frames without the gaps; 0.04 s below two frames.

    The mean, since containers round times to milliseconds.
    """
    steps = np.diff(times_s)
    median = float(np.median(steps)) if len(steps) else 0.0
    usual = steps[np.abs(steps - median) <= 0.5 * median]
    return float(usual.mean()) if median > 0 else 0.04


def _timecode(text: str) -> tuple[float, float, float]:
    match = TIMECODE.fullmatch(text)
    if match is None or int(match[3]) > 59 or (match[1] is not None and int(match[2]) > 59):
        raise ValueError(text)
    hours, minutes, seconds, fraction, frames = match.groups()
    whole = int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds)
    return float(whole), float(f"0.{fraction or 0}"), float(frames) if frames else float("nan")
