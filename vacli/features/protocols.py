"""The interfaces of feature extractors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from vacli.spec import FeatureSpec

if TYPE_CHECKING:
    import numpy as np

    from vacli.features.audio_flags import TemporalContext
    from vacli.media.audio import Sound


class Extractor(Protocol):
    """Computes one feature. Its class takes keyword arguments only, and all of them are optional.

    The input of `extract` depends on the modality: see `VisualExtractor` and `AudioExtractor`. A class whose
    options change the feature has a static method `options_from(settings, weights)`: the keyword arguments
    that give `spec.settings` again. weights: setting that holds a hash of weights -> their file; settings
    without a file use the published weights.
    """

    spec: FeatureSpec


class VisualExtractor(Extractor, Protocol):
    """Computes a row for each aligned face; `batch_size` faces at a time are fastest."""

    batch_size: int

    def extract(self, crops: np.ndarray) -> np.ndarray:
        """Crops (N, 224, 224, 3) uint8 RGB -> (N, spec.dim) float32."""
        ...


class AudioExtractor(Extractor, Protocol):
    """Computes a row for each time; a row depends on the sound within `context` of its time."""

    context: TemporalContext

    def extract(self, sound: Sound, times_s: np.ndarray) -> np.ndarray:
        """Times (N,) in seconds of the sound -> (N, spec.dim) float32, NaN where there is no sound."""
        ...


class StreamingExtractor(AudioExtractor, Protocol):
    """Computes rows that depend on all sound before them.

    `stream(sound).extract(times_s)` gives the same rows as `extract(sound, times_s)`, without repeating work
    for times that ascend from call to call.
    """

    def stream(self, sound: Sound) -> AudioStream:
        """Return the rows of one sound, computed as far as they are needed."""
        ...


class AudioStream(Protocol):
    """The rows of one sound by a StreamingExtractor."""

    def extract(self, times_s: np.ndarray) -> np.ndarray:
        """As `AudioExtractor.extract`."""
        ...


class LiveExtractor(AudioExtractor, Protocol):
    """Computes rows of a sound that is still arriving."""

    def live(self) -> LiveAudioStream:
        """Return the rows of one sound, which begins with the first added sample at 0 s."""
        ...


class LiveAudioStream(Protocol):
    """The rows of one sound by a LiveExtractor, with constant memory."""

    def add(self, samples: np.ndarray) -> None:
        """Add samples (S,) float32 at 16 kHz that follow those of before."""
        ...

    def row(self, time_s: float) -> tuple[np.ndarray, bool]:
        """Return the row (dim,) at a recent time, and whether it is final.

        A row that is not final is the best that is known, NaN if that is nothing.
        """
        ...

    def is_final(self, time_s: float) -> bool:
        """Return whether the row at a recent time is final."""
        ...

    def close(self) -> None:
        """Free its threads and memory."""
        ...
