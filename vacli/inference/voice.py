"""How much of a recording's sound is the voice of the person whose emotion is predicted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MIN_VOICE_WEIGHT = 0.5  # a frame with less counts as one without a voice
# The feature `speech` is above this in 99 % of the frames of RAVDESS and EmoDB, and in at most 3 % of those
# of synthetic music.
SPEECH_PRESENT = 0.25
# Prior odds that a voice is that of the visible face and not one from outside the picture, which `speaking`
# assumes to be equally likely.
VISIBLE_SPEAKER_ODDS = 4.0
# Of the voice of an unfamiliar person beside a clear face: more of it makes both errors larger.
# Beside a blurred face, all of it makes the error of arousal smaller.
WORTH_BESIDE_CLEAR_FACE = 0.3


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
        """(T,) from 0, no voice of the person, to 1; MIN_VOICE_WEIGHT at a speech of SPEECH_PRESENT."""
        speech = np.minimum(self.speech * MIN_VOICE_WEIGHT / SPEECH_PRESENT, 1.0)
        odds = VISIBLE_SPEAKER_ODDS * self.speaking
        speaking = odds / (odds + 1 - self.speaking)
        return np.where(np.isnan(speech), 1.0, speech) * np.where(np.isnan(speaking), 1.0, speaking)


def voice_worth(difficulty: np.ndarray) -> np.ndarray:
    """(T,) from 0 to 1: how much of a voice is used beside faces of a `faces.quality.face_difficulty` (T,).

    It is 1 where the difficulty is NaN, which means that there is no face.
    """
    worth = WORTH_BESIDE_CLEAR_FACE + (1 - WORTH_BESIDE_CLEAR_FACE) * difficulty
    return np.where(np.isnan(difficulty), 1.0, worth)
