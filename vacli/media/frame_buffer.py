"""A bounded buffer between the thread that reads a source and the one that predicts."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from dataclasses import dataclass, replace

from vacli.media.audio_segments import RATE_HZ
from vacli.media.live_input import LiveFrame, SoundBlock
from vacli.media.live_source import Drop

MAX_FRAMES = 4  # 133 ms at 30 frames a second
# FFmpeg keeps the frames that arrive while it opens a source, and gives them at once. So many may wait in the
# first START_S, so that none of them is dropped.
START_FRAMES, START_BYTES, START_S = 16, 64_000_000, 2.0
MAX_SOUND_S = 20.0
WAKE_S = 0.05  # a waiting thread looks at signals, at the end and at rows that are due this often


@dataclass(frozen=True, eq=False)
class CapturedFrame:
    """A frame, when it was captured (seconds of time.monotonic), and the words of its row's `flag`."""

    frame: LiveFrame
    captured_s: float
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Captured:
    """Sound that has arrived since the last item, in order, and the next frame, None if there is none yet.

    Both are empty if nothing has arrived for WAKE_S.
    """

    sound: tuple[SoundBlock, ...]
    frame: CapturedFrame | None


class FrameBuffer:
    """Holds at most `n_frames` frames and MAX_SOUND_S of sound.

    If it is full, `drop` decides: "oldest" removes the frame that waits longest, "newest" the one that
    arrives, and "none" makes the source wait. `n_dropped` counts the removed frames. Up to START_FRAMES may
    wait in the first START_S.
    """

    def __init__(self, drop: Drop, n_frames: int = MAX_FRAMES) -> None:
        self.drop, self._n_frames = drop, n_frames
        self._frames: deque[CapturedFrame] = deque()
        self._sound: deque[SoundBlock] = deque()
        self._sound_samples = 0
        self._changed = threading.Condition()
        self._is_ended = False
        self._error: BaseException | None = None
        self._first_s = math.inf  # when the first frame came
        self.n_dropped = 0

    def _limit(self, frame: LiveFrame | None) -> int:
        """The number of frames that may wait, if they are as large as this one."""
        now_s = time.monotonic()
        self._first_s = min(self._first_s, now_s)
        if now_s - self._first_s > START_S:
            return self._n_frames
        n_bytes = 1 if frame is None or frame.rgb is None else frame.rgb.nbytes
        return max(self._n_frames, min(START_FRAMES, START_BYTES // n_bytes))

    def drops_next(self) -> bool:
        """Return whether the next frame would be removed at once; it is then counted, and need not be put."""
        with self._changed:
            last = self._frames[-1].frame if self._frames else None
            is_full = self.drop == "newest" and len(self._frames) >= self._limit(last)
            self.n_dropped += is_full
        return is_full

    def put_sound(self, block: SoundBlock) -> None:
        """Add a block of sound. If it is full, "none" waits, and else the oldest block is removed."""
        with self._changed:
            most = MAX_SOUND_S * RATE_HZ - len(block.samples)
            while self._sound and self._sound_samples > most and not self._is_ended:
                if self.drop == "none":
                    self._changed.wait(WAKE_S)
                else:
                    self._sound_samples -= len(self._sound.popleft().samples)
            self._sound.append(block)
            self._sound_samples += len(block.samples)
            self._changed.notify_all()

    def put_frame(self, frame: CapturedFrame) -> None:
        """Add a frame. With "none" this waits for room."""
        with self._changed:
            while self.drop == "none" and len(self._frames) >= self._n_frames and not self._is_ended:
                self._changed.wait(WAKE_S)
            self._frames.append(frame)
            limit = self._limit(frame.frame)
            while self.drop != "none" and len(self._frames) > limit:
                self.n_dropped += 1
                if self.drop == "newest":
                    self._frames.pop()
                else:  # the next frame keeps the words, such as that there was a gap
                    words = self._frames.popleft().flags
                    self._frames[0] = replace(self._frames[0], flags=(*words, *self._frames[0].flags))
            self._changed.notify_all()

    def end(self, error: BaseException | None = None) -> None:
        """End the buffer; `take` raises the error after the frames that are left."""
        with self._changed:
            self._is_ended = True
            self._error = self._error or error
            self._changed.notify_all()

    @property
    def is_ended(self) -> bool:
        """Return whether the source has ended, or nobody takes frames any more."""
        return self._is_ended

    def take(self) -> Captured | None:
        """Wait for sound or a frame, at most WAKE_S; None at the end. Raises the error of `end`."""
        with self._changed:
            if not self._frames and not self._sound and not self._is_ended:
                self._changed.wait(WAKE_S)
            if not self._frames and not self._sound and self._is_ended:
                if self._error is not None:
                    raise self._error
                return None
            taken = Captured(tuple(self._sound), self._frames.popleft() if self._frames else None)
            self._sound.clear()
            self._sound_samples = 0
            self._changed.notify_all()
            return taken
