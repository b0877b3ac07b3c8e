"""One channel from many."""

from __future__ import annotations

import av
import numpy as np

# ITU-R BS.775 applied to one loudspeaker; scaled to sum to one, so two channels give their mean.
# A speaker that is not named here counts as a surround one.
WEIGHTS = {"FC": 1.0, "FL": 0.5**0.5, "FR": 0.5**0.5, "LFE": 0.0, "LFE2": 0.0}
SURROUND = 0.5


def to_mono(frame: av.AudioFrame) -> np.ndarray:
    """The mono sum of a decoded frame at its own rate. Returns: (S,) float32, full scale at 1."""
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    weights = _weights([channel.name for channel in frame.layout.channels])
    if samples.dtype.kind == "f":
        return (weights @ samples).astype(np.float32)
    full_scale = 2.0 ** (8 * samples.dtype.itemsize - 1)
    centre = full_scale if samples.dtype.kind == "u" else 0.0
    return ((weights @ samples - centre) / full_scale).astype(np.float32)


def _weights(names: list[str]) -> np.ndarray:
    """(channels,) float64 with sum 1. Channels without a place (four microphones, say) count alike."""
    places = set(names) & set(WEIGHTS)
    raw = np.array([WEIGHTS.get(name, SURROUND) if places else 1.0 for name in names])
    return raw / raw.sum() if raw.sum() else np.full(len(names), 1 / len(names))
