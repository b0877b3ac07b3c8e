"""Extractor `speech`: the probability of speech at each time.

The probabilities of Silero VAD depend on the level, so the sound gets a level at which they do not. It misses
screams, so it also gets the sound at half speed. The probabilities have gaps at unvoiced consonants and rise
late at the start of a voice, so they are averaged and then expanded.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from vacli.features.audio_flags import TemporalContext
from vacli.features.speech_activity.live import WINDOW_S, LiveSpeech
from vacli.features.speech_activity.loudness import TARGET_DB, levelling_gain
from vacli.features.speech_activity.network import HOP, OVERLAP
from vacli.features.speech_activity.pooling import (
    EXPANSION_WINDOWS,
    MEAN_WINDOWS,
    POOLED_WINDOWS,
    pooled,
    pooled_span,
)
from vacli.features.speech_activity.two_speeds import INITIAL_STATES, TwoSpeedVad
from vacli.features.weights import WEIGHTS, locate, short_hash
from vacli.files import scratch
from vacli.media.audio import Sound
from vacli.media.silence import mean_squares
from vacli.progress import Progress
from vacli.spec import AUDIO, FeatureSpec

WINDOWS_PER_RUN = 512  # 16 s of sound; bounds the memory


class SpeechActivity:
    """The probability of speech by Silero VAD, pooled over 1 s: 1 value.

    `context` is the time over which probabilities are pooled. They depend less on the older sound, through
    the recurrent state and the gain, and on the level of the next seconds.
    """

    context = TemporalContext(
        before_s=(POOLED_WINDOWS + 1) * WINDOW_S, after_s=(POOLED_WINDOWS + 1) * WINDOW_S
    )

    def __init__(self, weights: Path | None = None, progress: Progress | None = None) -> None:
        path = locate("speech", weights, progress)
        self._network = TwoSpeedVad(path)
        self.spec = FeatureSpec(
            name="speech",
            version="2",
            modality=AUDIO,
            dim=1,
            columns=("speech",),
            units="probability",
            licence=WEIGHTS["speech"].licence,
            settings={
                "weights": short_hash(path),
                "level_db": TARGET_DB,
                "mean_windows": MEAN_WINDOWS,
                "expansion_windows": EXPANSION_WINDOWS,
            },
        )

    @staticmethod
    def options_from(settings: Mapping[str, object], weights: Mapping[str, Path]) -> dict[str, object]:
        """See `features.protocols.Extractor`."""
        return {"weights": weights.get("weights")}

    def extract(self, sound: Sound, times_s: np.ndarray) -> np.ndarray:
        """Probabilities at times (N,) in seconds of the sound -> (N, 1) float32 in 0 to 1.

        They are NaN where the stream has no samples, and 0 in digital silence.
        """
        return self.stream(sound).extract(times_s)

    def stream(self, sound: Sound) -> SpeechStream:
        """See `features.protocols.StreamingExtractor`."""
        return SpeechStream(self._network, sound)

    def live(self) -> LiveSpeech:
        """See `features.protocols.LiveExtractor`."""
        return LiveSpeech(self._network)


class SpeechStream:
    """The probabilities in one sound, computed as far as they are needed."""

    def __init__(self, network: TwoSpeedVad, sound: Sound) -> None:
        self._network, self._sound, self._state = network, sound, INITIAL_STATES
        whole = sound.samples[: len(sound.samples) // HOP * HOP].reshape(-1, HOP)
        rest = sound.samples[whole.size :]
        power = mean_squares(whole)
        if len(rest):
            power = np.append(power, np.square(rest, dtype=np.float64).mean())
        self._gain = levelling_gain(power, WINDOW_S)
        self._probabilities = np.zeros(len(power), np.float32)
        self._n_known = 0  # windows

    def extract(self, times_s: np.ndarray) -> np.ndarray:
        """As `SpeechActivity.extract`."""
        values = np.full(len(times_s), np.nan, np.float32)
        if not len(self._gain):
            return values[:, np.newaxis]
        present, audible = self._sound.is_present_at(times_s), self._sound.is_audible_at(times_s)
        values[present & ~audible] = 0.0
        if (present & audible).any():
            values[present & audible] = self._pooled(times_s[present & audible])
        return values[:, np.newaxis]

    def _pooled(self, times_s: np.ndarray) -> np.ndarray:
        """Return the pooled probabilities at times (N,), between the centres of windows by interpolation."""
        at = times_s / WINDOW_S - 0.5  # in windows
        first, end = pooled_span(at.min(), at.max())
        end = min(end, len(self._gain))
        self._advance(end)
        return pooled(self._probabilities[first:end], first, at)

    def _advance(self, end: int) -> None:
        """Compute the probabilities of the windows before `end`."""
        while self._n_known < end:
            block = slice(self._n_known, min(self._n_known + WINDOWS_PER_RUN, end))
            samples = self._levelled(block)
            self._probabilities[block], self._state = self._network.probabilities(samples, self._state)
            scratch.release(self._sound.samples)
            self._n_known = block.stop

    def _levelled(self, block: slice) -> np.ndarray:
        """Return the samples of windows with the gain, and OVERLAP samples before them, (S,) float32."""
        first, end = block.start * HOP - OVERLAP, block.stop * HOP
        start = max(first, 0)
        samples = self._sound.samples[start:end]
        centres = (np.arange(len(self._gain)) + 0.5) * HOP
        gain = np.interp(np.arange(start, start + len(samples)), centres, self._gain)
        return np.pad((samples * gain).astype(np.float32), (start - first, end - start - len(samples)))
