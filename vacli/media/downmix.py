"""One channel from many."""

from __future__ import annotations

import av
import numpy as np

# ITU-R BS.775 applied to one loudspeaker; scaled to sum to one, so two channels give their mean.
# A speaker that is not named here counts as a surround one.
WEIGHTS = {"FC": 1.0, "FL": 0.5**0.5, "FR": 0.5**0.5, "LFE": 0.0, "LFE2": 0.0}
SURROUND = 0.5


class Downmix:
    """Mixes decoded frames of one form (layout and sample format) to mono."""

    def __init__(self, frame: av.AudioFrame) -> None:
        self._planar = frame.format.is_planar
        self._weights = _weights([channel.name for channel in frame.layout.channels])

    def __call__(self, arrays: list[np.ndarray]) -> np.ndarray:
        """The sum of consecutive frames, as `AudioFrame.to_ndarray` gives them. Returns: (S,) float32."""
        samples = np.concatenate(arrays, axis=1)
        if not self._planar:
            samples = samples.reshape(-1, len(self._weights)).T
        if samples.dtype.kind == "f":
            return (self._weights @ samples).astype(np.float32)
        full_scale = 2.0 ** (8 * samples.dtype.itemsize - 1)
        centre = full_scale if samples.dtype.kind == "u" else 0.0
        return ((self._weights @ samples - centre) / full_scale).astype(np.float32)


def _weights(names: list[str]) -> np.ndarray:
    """(channels,) float64 with sum 1. Channels without a place (four microphones, say) count alike."""
    placed = set(names) & set(WEIGHTS)
    raw = np.array([WEIGHTS.get(name, SURROUND) if placed else 1.0 for name in names])
    return raw / raw.sum() if raw.sum() else np.full(len(names), 1 / len(names))
