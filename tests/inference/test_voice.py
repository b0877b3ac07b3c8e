from __future__ import annotations

import numpy as np
import pytest

from vacli.inference.voice import MIN_VOICE_WEIGHT, SPEECH_PRESENT, VISIBLE_SPEAKER_ODDS, VoiceEvidence


def weight(speech: float, speaking: float) -> float:
    return float(VoiceEvidence(np.array([speech]), np.array([speaking])).weight[0])


def test_what_is_unknown_counts_as_a_voice():
    assert VoiceEvidence.unknown(3).weight.tolist() == [1, 1, 1]
    assert weight(1.0, np.nan) == weight(np.nan, 1.0) == 1


def test_the_weight_grows_with_both_probabilities():
    assert weight(0.0, 1.0) == weight(1.0, 0.0) == 0
    assert weight(SPEECH_PRESENT, 1.0) == pytest.approx(MIN_VOICE_WEIGHT)
    grown = [[weight(a, b) for a in (0.05, 0.2, 0.5)] for b in (0.05, 0.3, 0.9)]
    assert (np.diff(grown, axis=0) > 0).all()
    assert (np.diff(grown, axis=1) > 0).all()


def test_a_visible_face_has_the_prior_odds_of_speaking():
    """Bayes' theorem, with the likelihoods that equal odds give."""
    posterior = 0.25 * VISIBLE_SPEAKER_ODDS / (0.25 * VISIBLE_SPEAKER_ODDS + 0.75)
    assert weight(1.0, 0.25) == pytest.approx(posterior)
