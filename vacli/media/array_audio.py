"""Samples that are in memory already, as audio on the clock of the frames."""

from __future__ import annotations

import math
from collections.abc import Iterator

import av
import numpy as np

from vacli.errors import InputError
from vacli.media.audio import Sound, leveled_sound
from vacli.media.audio_blocks import MAX_TAIL_S
from vacli.media.audio_segments import BATCH_S, MAX_RATE_HZ, MIN_RATE_HZ, RATE_HZ
from vacli.media.downmix import full_scale
from vacli.media.polarity import MAX_CHANNELS, OPPOSITE_PHASE, PolarityDetector, Signs


def sound_of_array(samples: np.ndarray, rate_hz: int, end_s: float = 0.0) -> Sound:
    """Mono audio at 16 kHz from samples whose first one belongs to time 0.

    samples: (S,) or (S, channels), floats of full scale 1 or integers. end_s: the end of the video; the audio
    is continued with zeros up to it, at most by MAX_TAIL_S. Channels are mixed and resampled as those of a
    file without named speakers. Raises InputError for other shapes, rates and values.
    """
    samples = np.asarray(samples)
    _check(samples, rate_hz)
    channels = np.atleast_2d(samples.T)
    signs = _signs(channels, rate_hz)
    mono = np.concatenate([np.zeros(0, np.float32), *_resampled(channels, rate_hz, signs)])
    notes: tuple[str, ...] = ()
    if any(one is not None for one in signs):
        notes = (OPPOSITE_PHASE,)
    present = ((0.0, len(mono) / RATE_HZ),) if len(mono) else ()
    tail = min(math.ceil(end_s * RATE_HZ) - len(mono), round(MAX_TAIL_S * RATE_HZ))
    whole = np.concatenate([mono, np.zeros(max(tail, 0), np.float32)])
    return leveled_sound(Sound(whole, RATE_HZ, present, notes=notes))


def _check(samples: np.ndarray, rate_hz: int) -> None:
    if samples.ndim not in (1, 2) or (samples.ndim == 2 and not 1 <= samples.shape[1] <= MAX_CHANNELS):
        raise InputError(
            f"audio has the shape {samples.shape}",
            hint=f"give (samples,) or (samples, channels) with at most {MAX_CHANNELS} channels",
        )
    if samples.dtype.kind not in "fiu" or not np.isfinite(samples).all():
        raise InputError("audio must have finite numbers, floats of full scale 1 or integers")
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise InputError(f"{rate_hz} Hz is no sample rate of audio", hint="give rate_hz in samples a second")


def _batches(channels: np.ndarray, rate_hz: int) -> Iterator[np.ndarray]:
    size = math.ceil(BATCH_S * rate_hz)
    for start in range(0, channels.shape[1], size):
        yield channels[:, start : start + size]


def _signs(channels: np.ndarray, rate_hz: int) -> list[Signs]:
    detector = PolarityDetector()
    weights = np.full(len(channels), 1 / len(channels))
    for batch in _batches(channels, rate_hz):
        detector.add(batch, weights, batch.shape[1] / rate_hz)
    return detector.signs()


def _resampled(channels: np.ndarray, rate_hz: int, signs: list[Signs]) -> Iterator[np.ndarray]:
    """Mono samples (K,) float32 at RATE_HZ, in order."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE_HZ)
    scale, centre = full_scale(channels.dtype)
    for batch, own in zip(_batches(channels, rate_hz), signs, strict=True):
        weights = np.full(len(channels), 1 / len(channels)) * (1.0 if own is None else own)
        mixed = ((weights @ batch - centre * weights.sum()) / scale).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(mixed[np.newaxis], format="flt", layout="mono")
        frame.sample_rate = rate_hz
        yield from (part.to_ndarray().reshape(-1) for part in resampler.resample(frame))
    if channels.shape[1]:
        yield from (part.to_ndarray().reshape(-1) for part in resampler.resample(None))
