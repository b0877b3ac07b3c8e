"""One channel from many."""

from __future__ import annotations

import av
import numpy as np

# ITU-R BS.775 applied to one loudspeaker; scaled to sum to one, so two channels give their mean.
# A speaker that is not named here counts as a surround one.
WEIGHTS = {"FC": 1.0, "FL": 0.5**0.5, "FR": 0.5**0.5, "LFE": 0.0, "LFE2": 0.0}
SURROUND = 0.5
# PyAV counts the planes of a frame up to the first null pointer, and from eight planes on there is none.
MOST_PLANES = 7
NUMPY_FORMATS = {"u8", "s16", "s32", "flt", "dbl"}  # packed ones that PyAV hands to numpy


class Downmix:
    """Mixes decoded frames of one form (layout and sample format) to mono."""

    def __init__(self, frame: av.AudioFrame) -> None:
        self.weights = _weights([channel.name for channel in frame.layout.channels])
        packed = frame.format.packed.name
        self._planar = frame.format.is_planar and len(self.weights) <= MOST_PLANES and packed in NUMPY_FORMATS
        self._packer: av.AudioResampler | None = None
        if not self._planar and (frame.format.is_planar or packed not in NUMPY_FORMATS):
            packed = packed if packed in NUMPY_FORMATS else "dbl"
            self._packer = av.AudioResampler(format=packed, layout=frame.layout, rate=frame.sample_rate)

    def arrays(self, frame: av.AudioFrame) -> list[np.ndarray]:
        """A frame's samples for `channels`; never by the planes of a frame that has many."""
        frames = [frame] if self._packer is None else self._packer.resample(frame)
        return [frame.to_ndarray() for frame in frames]

    def channels(self, arrays: list[np.ndarray]) -> np.ndarray:
        """Consecutive `arrays` as (channels, S), in the units of their sample format."""
        samples = np.concatenate(arrays, axis=1)
        return samples if self._planar else samples.reshape(-1, len(self.weights)).T

    def mono(self, samples: np.ndarray, signs: np.ndarray | None = None) -> np.ndarray:
        """The weighted sum of `channels`. signs: (channels,) of -1 where one is inverted.

        Returns: (S,) float32, full scale 1.
        """
        weights = self.weights if signs is None else self.weights * signs
        if samples.dtype.kind == "f":
            return (weights @ samples).astype(np.float32)
        scale, centre = full_scale(samples.dtype)
        centre *= 1.0 if signs is None else weights.sum()
        return ((weights @ samples - centre) / scale).astype(np.float32)


def full_scale(dtype: np.dtype) -> tuple[float, float]:
    """Full scale and centre of a sample format."""
    if dtype.kind == "f":
        return 1.0, 0.0
    scale = 2.0 ** (8 * dtype.itemsize - 1)
    return scale, scale if dtype.kind == "u" else 0.0


def _weights(names: list[str]) -> np.ndarray:
    """(channels,) float64 with sum 1. Channels without a place (four microphones, say) count alike."""
    placed = set(names) & set(WEIGHTS)
    raw = np.array([WEIGHTS.get(name, SURROUND) if placed else 1.0 for name in names])
    return raw / raw.sum() if raw.sum() else np.full(len(names), 1 / len(names))
