"""The audio features of one recording, extracted in chunks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np

from vacli.files import scratch
from vacli.media.audio import EXCERPT_GRID_S, Sound
from vacli.media.sound_level import level_db
from vacli.media.speech_level import SpeechLevel, speech_level
from vacli.pipeline.active_speaker import grid_times
from vacli.spec import SPEECH

FIRST_CHUNK_S, CHUNK_S = 2.0, 25.0  # of sound that is extracted at once
CONTEXT_S = 2.0  # of sound around a chunk, beyond the context of a row: pitch trackers look further


class AudioFeatures:
    """The audio features at N times.

    present (N,) bool: where there is sound. level_db (N,): `sound_level.level_db`, NaN without sound.
    features: name -> (N, D) float32. n_known: the number of rows that are extracted so far.
    """

    def __init__(self, extractors: Mapping[str, Any], sound: Sound | None, times_s: np.ndarray) -> None:
        self._extractors, self.sound, self.times_s = extractors, sound, times_s
        self._own_s = times_s if sound is None else sound.to_audio_clock(times_s)
        self.present = np.zeros(len(times_s), bool) if sound is None else sound.is_audible_at(self._own_s)
        self.level_db = np.full(len(times_s), np.nan) if sound is None else level_db(sound, self._own_s)
        self.features = {n: scratch.missing_rows(len(times_s), e.spec.dim) for n, e in extractors.items()}
        self.n_known = len(times_s) if sound is None else 0

    @property
    def speech(self) -> np.ndarray:
        """(N,) the probability of speech, NaN where it is not extracted."""
        rows = self.features.get(SPEECH)
        return np.full(len(self.times_s), np.nan) if rows is None else rows[:, 0]

    @cached_property
    def speech_level(self) -> SpeechLevel | None:
        """The level of the sound at the `grid_times` of the rows; None without sound."""
        if self.sound is None:
            return None
        return speech_level(self.sound, self.sound.to_audio_clock(grid_times(self.times_s)))

    def extract(self) -> AudioFeatures:
        """Extract all rows at once."""
        if self.n_known < len(self.times_s):
            for name, extractor in self._extractors.items():
                self.features[name] = extractor.extract(self.sound, self._own_s)
            self.n_known = len(self.times_s)
        return self

    def extract_chunked(self) -> AudioFeatures:
        """Extract all rows in chunks, while `n_known` grows.

        Sound with a gap is extracted at once, because the rows at its edges depend on all of it.
        """
        if self.sound is None or len(self.sound.present) != 1:
            return self.extract()
        own_s, margin_s, grid_s = self._own_s, self._margin_s(), self._grid_s()
        streams = {n: e.stream(self.sound) for n, e in self._extractors.items() if hasattr(e, "stream")}
        while self.n_known < len(own_s):
            from_s = own_s[self.n_known]
            chunk_s = np.clip(from_s - own_s[0], FIRST_CHUNK_S, CHUNK_S)  # double what is known
            here = slice(self.n_known, int(np.searchsorted(own_s, from_s + chunk_s)))
            chunk, zero_s = self.sound.excerpt(own_s[here], margin_s, grid_s)
            for name, extractor in self._extractors.items():
                if name in streams:
                    self.features[name][here] = streams[name].extract(own_s[here])
                else:
                    self.features[name][here] = extractor.extract(chunk, own_s[here] - zero_s)
                scratch.release(self.features[name])
            scratch.release(self.sound.samples)
            self.n_known = here.stop
        return self

    def _margin_s(self) -> float:
        """Seconds of sound around a chunk that its rows may depend on."""
        contexts = [e.context for e in self._extractors.values() if not hasattr(e, "stream")]
        return CONTEXT_S + max((max(c.before_s, c.after_s) for c in contexts), default=0.0)

    def _grid_s(self) -> float:
        """The step of the chunks' beginnings; the grids of extractors are multiples of each other."""
        return max((e.context.grid_s for e in self._extractors.values()), default=EXCERPT_GRID_S)


class BackgroundAudio:
    """A recording's sound, read and extracted in a thread of `pool`."""

    def __init__(
        self, pool: ThreadPoolExecutor, read: Callable[[], Sound | None], extractors: Mapping[str, Any]
    ) -> None:
        self._pool, self._read, self._extractors = pool, read, extractors
        self._features: AudioFeatures | None = None

    def start(self, times_s: np.ndarray) -> BackgroundAudio:
        """Begin to extract features at `times_s` (N,)."""
        self._running = self._pool.submit(self._run, times_s)
        return self

    def _run(self, times_s: np.ndarray) -> AudioFeatures:
        features = AudioFeatures(self._extractors, self._read(), times_s)
        _ = features.speech_level  # computed in this thread
        self._features = features
        return features.extract_chunked()

    @property
    def so_far(self) -> AudioFeatures | None:
        """What is extracted so far, None before the sound is read; raises what the thread failed with."""
        return self._running.result() if self._running.done() else self._features

    def result(self) -> AudioFeatures:
        """All features; waits for them."""
        return self._running.result()
