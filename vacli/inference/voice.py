"""How much of a recording's sound is the voice of the person whose emotion is predicted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MIN_VOICE_WEIGHT = 0.5  # a frame with less counts as one without a voice


@dataclass(frozen=True, eq=False)
class VoiceEvidence:
    """What is known about the sound at the T rows of a video; NaN where unknown, which counts as 1.

    speech: (T,) probability of speech, as the feature `speech` gives it. speaking: (T,) from 0 to 1, whether
    the speech comes from the person in the picture.
    """

    speech: np.ndarray
    speaking: np.ndarray

    @classmethod
    def unknown(cls, count: int) -> VoiceEvidence:
        """Nothing is known at `count` rows."""
        return cls(np.full(count, np.nan), np.full(count, np.nan))

    @property
    def weight(self) -> np.ndarray:
        """(T,) from 0, no voice of the person, to 1."""
        speech, speaking = (np.where(np.isnan(x), 1.0, x) for x in (self.speech, self.speaking))
        return speech * speaking
