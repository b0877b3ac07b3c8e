"""Downmix of all channels to mono."""

from __future__ import annotations

import av
import numpy as np

# ITU-R BS.775 for one loudspeaker, scaled to a sum of one, so stereo gives the mean of its channels. All
# other speakers have SURROUND_WEIGHT.
WEIGHTS = {"FC": 1.0, "FL": 0.5**0.5, "FR": 0.5**0.5, "LFE": 0.0, "LFE2": 0.0}
SURROUND_WEIGHT = 0.5
# PyAV counts the planes of a frame up to the first null pointer, which frames of eight planes or more lack.
MAX_PLANES = 7
NUMPY_FORMATS = {"u8", "s16", "s32", "flt", "dbl"}  # packed formats that PyAV converts to NumPy


class Downmix:
    """Mixes decoded frames of one layout and sample format to mono."""

    def __init__(self, frame: av.AudioFrame) -> None:
        self.weights = _weights([channel.name for channel in frame.layout.channels])
        packed = frame.format.packed.name
        self._planar = frame.format.is_planar and len(self.weights) <= MAX_PLANES and packed in NUMPY_FORMATS
        self._packer: av.AudioResampler | None = None
        if not self._planar and (frame.format.is_planar or packed not in NUMPY_FORMATS):
            packed = packed if packed in NUMPY_FORMATS else "dbl"
            self._packer = av.AudioResampler(format=packed, layout=frame.layout, rate=frame.sample_rate)

    def arrays(self, frame: av.AudioFrame) -> list[np.ndarray]:
        """Return a frame's samples for `channels`, packed if the frame has more than MAX_PLANES planes."""
        frames = [frame] if self._packer is None else self._packer.resample(frame)
        return [frame.to_ndarray() for frame in frames]

    def channels(self, arrays: list[np.ndarray]) -> np.ndarray:
        """Concatenate consecutive `arrays` to (channels, S), in the units of their sample format."""
        samples = np.concatenate(arrays, axis=1)
        return samples if self._planar else samples.reshape(-1, len(self.weights)).T

    def mono(self, samples: np.ndarray, signs: np.ndarray | None = None) -> np.ndarray:
        """Return the weighted sum of `channels`, (S,) float32, full scale 1.

        signs: (channels,) of 1 and -1; channels with -1 are inverted.
        """
        weights = self.weights if signs is None else self.weights * signs
        if samples.dtype.kind == "f":
            return (weights @ samples).astype(np.float32)
        scale, centre = full_scale(samples.dtype)
        centre *= 1.0 if signs is None else weights.sum()
        return ((weights @ samples - centre) / scale).astype(np.float32)


def full_scale(dtype: np.dtype) -> tuple[float, float]:
    """Return full scale and centre of a sample format."""
    if dtype.kind == "f":
        return 1.0, 0.0
    scale = 2.0 ** (8 * dtype.itemsize - 1)
    return scale, scale if dtype.kind == "u" else 0.0


def _weights(names: list[str]) -> np.ndarray:
    """Return the weights (channels,) float64 with sum 1; they are equal without named speakers."""
    has_speakers = set(names) & set(WEIGHTS)
    raw = np.array([WEIGHTS.get(name, SURROUND_WEIGHT) if has_speakers else 1.0 for name in names])
    return raw / raw.sum() if raw.sum() else np.full(len(names), 1 / len(names))
