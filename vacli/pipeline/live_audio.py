"""The audio features of a live source at single times."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vacli.errors import UsageError
from vacli.media.audio_segments import RATE_HZ
from vacli.media.live_input import SoundBlock
from vacli.media.live_sound import RollingSound
from vacli.media.speech_level import SpeechLevel
from vacli.pipeline.active_speaker import MAX_SHIFT, SLOW_STD, WINDOW_BEFORE
from vacli.pipeline.mouth_track import GRID_HZ
from vacli.spec import SPEECH

MIN_LOOK_AHEAD_S = 0.05  # of the descriptors, half an analysis frame and neighbouring rows
HOLD_S = 0.25  # for which the last descriptors stand in for sound that has not arrived
LEVEL_POINTS = WINDOW_BEFORE + MAX_SHIFT + round(6 * SLOW_STD) + 8  # that the active speaker depends on


@dataclass(frozen=True, eq=False)
class AudioRow:
    """The sound at one time, as in `observation.Observation`.

    features: name -> (D,) float32, NaN without sound. is_late: the sound ends before this time.
    """

    is_present: bool
    level_db: float
    features: Mapping[str, np.ndarray]
    is_late: bool

    @property
    def speech(self) -> float:
        """The probability of speech, NaN where unknown."""
        row = self.features.get(SPEECH)
        return float("nan") if row is None else float(row[0])


class LiveAudio:
    """Extracts the features of a sound while it arrives; memory is constant.

    extractors: name -> a `protocols.LiveExtractor`. delay_s: how much sound after its time a row may have.
    Raises UsageError for an extractor that needs the whole sound.
    """

    def __init__(self, extractors: Mapping[str, Any], delay_s: float = 0.0) -> None:
        for name, extractor in extractors.items():
            if not hasattr(extractor, "live"):
                raise UsageError(
                    f"the feature {name} cannot be extracted from a live source",
                    hint="use a model with egemaps, mfcc39 or vggish, such as the bundled one, or a file",
                )
        self.extractors, self.sound = extractors, RollingSound()
        self._level_points = LEVEL_POINTS + round(delay_s * GRID_HZ)
        self._streams: dict[str, Any] = {}
        self._zero_s = 0.0  # of the streams

    def add(self, block: SoundBlock) -> None:
        """Add samples; see `LiveEngine.add_sound`."""
        for new in self.sound.add(block):
            if new.restart:
                self.close()
                self._streams = {name: extractor.live() for name, extractor in self.extractors.items()}
                self._zero_s = new.start / RATE_HZ
            for stream in self._streams.values():
                stream.add(new.samples)

    def is_final(self, time_s: float) -> bool:
        """Whether later sound does not change the descriptors at a time of the last half second."""
        if self.sound.end_s - time_s < MIN_LOOK_AHEAD_S:
            return False
        if not self.sound.is_audible_at(time_s):
            return True
        return all(stream.is_final(time_s - self._zero_s) for stream in self._streams.values())

    def row(self, time_s: float) -> AudioRow:
        """The features at a time of the last seconds, or of now."""
        is_late = time_s > self.sound.end_s
        own_s = min(time_s, self.sound.end_s - 0.5 / RATE_HZ)
        if time_s - own_s > HOLD_S:  # also before the first sound
            return self._missing(float("nan"))
        level_db = self.sound.level_db(own_s)
        is_there, is_present = self.sound.is_present_at(own_s), self.sound.is_audible_at(own_s)
        features = {name: stream.row(own_s - self._zero_s)[0] for name, stream in self._streams.items()}
        if not is_present:
            row = self._missing(level_db)
            silent = {SPEECH: np.zeros(1, np.float32)} if is_there and SPEECH in features else {}
            return AudioRow(False, level_db, {**row.features, **silent}, is_late)
        return AudioRow(True, level_db, features, is_late)

    def _missing(self, level_db: float) -> AudioRow:
        features = {n: np.full(e.spec.dim, np.nan, np.float32) for n, e in self.extractors.items()}
        return AudioRow(False, level_db, features, is_late=True)

    def speech_level(self, point: int) -> SpeechLevel | None:
        """The level at the grid points up to `point`; None before any sound."""
        if math.isinf(self.sound.end_s):
            return None
        first = max(point - self._level_points, 0)
        return self.sound.speech_level(first, np.arange(first, point + 1) / GRID_HZ)

    def close(self) -> None:
        """End the threads of the extractors."""
        for stream in self._streams.values():
            stream.close()
        self._streams = {}
