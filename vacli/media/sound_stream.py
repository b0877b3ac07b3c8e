"""The sound of a live stream as blocks of mono 16 kHz, as soon as it is decoded.

A sound card does not run at exactly its nominal rate, so that the count of its samples drifts away from the
timestamps. A difference of more than JITTER_S is removed by stretching or shortening sound by at most
MAX_STRETCH, which is not audible. A larger difference at once is a gap, or sound that is sent twice.
"""

from __future__ import annotations

from collections.abc import Iterator

import av
import numpy as np

from vacli.media.audio_segments import JITTER_S, RATE_HZ, AudioRun, AudioSegment
from vacli.media.container import DECODER_ERRORS
from vacli.media.downmix import Downmix
from vacli.media.live_input import SoundBlock
from vacli.media.polarity import OPPOSITE_PHASE, RunningPolarity
from vacli.media.sample_check import SampleCheck

BATCH_S = 0.02
MAX_DRIFT_S = 0.06  # between two blocks; a larger step of the timestamps is a gap
MAX_STRETCH = 0.005
UNUSABLE_SAMPLES = "samples of its sound are not numbers or far above full scale; they count as silence"
SMOOTHING = 0.05  # weight of a new difference: jitter of single timestamps is no drift


class SoundStream:
    """Converts decoded frames of one stream; zero_s: the time on its clock that is 0 s of the blocks.

    `n_errors` counts the frames that could not be used. `notes` has a sentence for each change of the sound.
    """

    def __init__(self, zero_s: float) -> None:
        self._zero_s = zero_s
        self._run: AudioRun | None = None
        self._drift = DriftCorrector()
        self._end = 0  # sample after the last block
        self.n_errors = 0
        self.notes: tuple[str, ...] = ()
        self._check = SampleCheck()
        self._polarity = RunningPolarity()

    @property
    def end_s(self) -> float:
        """Return the end of the sound so far."""
        return self._end / RATE_HZ

    def add(self, frame: av.AudioFrame) -> Iterator[SoundBlock]:
        """Add a decoded frame; yield the blocks that are complete."""
        try:
            for segment in self._segments(frame):
                segment = segment.from_sample(self._end)
                if len(segment.samples):
                    self._end = segment.end
                    yield SoundBlock(segment.first / RATE_HZ, segment.samples)
        except DECODER_ERRORS:
            self.n_errors += 1
            self._run = None

    def _segments(self, frame: av.AudioFrame) -> Iterator[AudioSegment]:
        if frame.is_corrupt:
            raise ValueError("it is damaged")
        start_s = None if frame.time is None else frame.time - self._zero_s
        if self._run is None or not self._run.continued_by(frame, start_s, MAX_DRIFT_S):
            yield from self._run.finish() if self._run else ()
            self._run = AudioRun(frame, self.end_s if start_s is None else start_s, self._mix, BATCH_S)
            self._drift = DriftCorrector()
        if start_s is not None:
            self._drift.add(start_s - self._run.end_s)
        for segment in self._run.push(frame):
            yield self._drift.correct(segment, self._run)

    def _mix(self, downmix: Downmix, samples: np.ndarray, length_s: float) -> np.ndarray:
        usable = self._check.usable(samples)
        if self._check.n_unusable:
            self._note(UNUSABLE_SAMPLES)
        signs = self._polarity.signs(usable, downmix.weights, length_s)
        if signs is not None:
            self._note(OPPOSITE_PHASE)
        return downmix.mono(usable, signs)

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes += (text,)


class DriftCorrector:
    """Keeps sound at its timestamps by changes of its length that are not audible."""

    def __init__(self) -> None:
        self._late_s = 0.0  # smoothed distance from the end of the sound to the next timestamp
        self._pending = 0  # samples that are still to be added

    def add(self, late_s: float) -> None:
        """Add the distance of a timestamp from the end of the sound before it."""
        self._late_s += SMOOTHING * (late_s - self._late_s)
        if not self._pending and abs(self._late_s) > JITTER_S:
            self._pending = round(self._late_s * RATE_HZ)
            self._late_s = 0.0

    def correct(self, segment: AudioSegment, run: AudioRun) -> AudioSegment:
        """Return a segment with a part of the pending samples; the ones after it are moved in `run`."""
        count = len(segment.samples)
        most = max(int(count * MAX_STRETCH), 1)
        step = int(np.clip(self._pending, -most, most))
        if not step or count < 2:
            return segment
        self._pending -= step
        run.delay(step)
        at = np.linspace(0, count - 1, count + step)
        resampled = np.interp(at, np.arange(count), segment.samples).astype(np.float32)
        return AudioSegment(segment.first, resampled)
