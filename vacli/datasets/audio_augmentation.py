"""Augmentation of speech with other rooms, microphones and telephone lines, and synthetic non-speech audio.

A model that is trained on studio recordings only depends on their level, their room and their silence.
All random numbers come from the given generator.
"""

from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
from scipy import signal

from vacli.media.audio_segments import RATE_HZ

SPEED = (0.88, 1.12)  # resampling moves pitch and formants together, as between speakers
RT60_S = (0.15, 0.7)  # reverberation time: decay by 60 dB
DRR_DB = (0.0, 15.0)  # direct-to-reverberant ratio
TILT_DB = 8.0  # of a first-order shelf at TILT_HZ, up or down
TILT_HZ = 1000.0
TELEPHONE_HZ = (300.0, 3400.0)  # ITU-T G.712
SNR_DB = (3.0, 35.0)  # signal-to-noise ratio
PEAK_DB = (-35.0, -1.0)  # level of the loudest sample
PROBABILITIES = {"speed": 0.7, "reverb": 0.5, "tilt": 0.7, "telephone": 0.25, "noise": 0.7}


def augment(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Augment speech (S,) float32 at 16 kHz; the length changes where the speed does."""
    sound = np.asarray(samples, np.float64)
    for name, function in AUGMENTATIONS.items():
        if rng.random() < PROBABILITIES[name]:
            sound = function(sound, rng)
    return scale_to_peak(sound, rng.uniform(*PEAK_DB))


def scale_to_peak(sound: np.ndarray, peak_db: float) -> np.ndarray:
    """The sound with its loudest sample at `peak_db` of full scale; float32."""
    peak = np.abs(sound).max(initial=0.0)
    return (sound * (10 ** (peak_db / 20) / max(peak, 1e-9))).astype(np.float32)


def speed_perturb(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Resample (S,) by a random factor in SPEED, which changes speed and pitch together."""
    ratio = Fraction(rng.uniform(*SPEED)).limit_denominator(40)
    return signal.resample_poly(sound, ratio.denominator, ratio.numerator)


def add_reverb(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Reverberation with exponentially decaying noise as impulse response (Polack 1988)."""
    decay_s = rng.uniform(*RT60_S)
    time_s = np.arange(int(decay_s * RATE_HZ)) / RATE_HZ
    tail = rng.standard_normal(len(time_s)) * 10 ** (-3 * time_s / decay_s)
    tail *= 10 ** (-rng.uniform(*DRR_DB) / 20) / np.linalg.norm(tail)
    return sound + signal.fftconvolve(sound, tail)[: len(sound)]


def spectral_tilt(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Raise or lower the band of (S,) above TILT_HZ by up to TILT_DB."""
    low = signal.lfilter(*signal.butter(1, TILT_HZ, fs=RATE_HZ), sound)
    return low + (sound - low) * 10 ** (rng.uniform(-TILT_DB, TILT_DB) / 20)


def telephone_band(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Filter (S,) to the band TELEPHONE_HZ."""
    return signal.sosfilt(signal.butter(4, TELEPHONE_HZ, "bandpass", fs=RATE_HZ, output="sos"), sound)


def add_noise(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add coloured noise to (S,) at a random signal-to-noise ratio in SNR_DB."""
    noise = coloured_noise(len(sound), rng)
    power = np.sqrt(np.mean(sound**2) / max(np.mean(noise**2), 1e-12))
    return sound + noise * power * 10 ** (-rng.uniform(*SNR_DB) / 20)


AUGMENTATIONS = {
    "speed": speed_perturb,
    "reverb": add_reverb,
    "tilt": spectral_tilt,
    "telephone": telephone_band,
    "noise": add_noise,
}


def coloured_noise(count: int, rng: np.random.Generator) -> np.ndarray:
    """Noise (count,) whose power falls with frequency to a power between 0 (white) and 2 (brown)."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    hertz = np.maximum(np.fft.rfftfreq(count, 1 / RATE_HZ), 20.0)
    return np.fft.irfft(spectrum * hertz ** (-rng.uniform(0, 2) / 2), count)


def background(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Sound without speech, (S,) float32: digital silence, noise, mains hum or chords."""
    count = int(seconds * RATE_HZ)
    kind = rng.integers(4)
    if kind == 0:
        return np.zeros(count, np.float32)
    sound = (coloured_noise, _hum, _chords)[kind - 1](count, rng)
    return scale_to_peak(sound, rng.uniform(-60, -3))


def _hum(count: int, rng: np.random.Generator) -> np.ndarray:
    time_s = np.arange(count) / RATE_HZ
    mains_hz = rng.choice([50.0, 60.0])
    tones = sum(np.sin(2 * np.pi * mains_hz * k * time_s) / k for k in range(1, 9))
    return tones + 0.3 * coloured_noise(count, rng) / 3


def _chords(count: int, rng: np.random.Generator) -> np.ndarray:
    """Chords of three decaying harmonic tones at a regular beat."""
    sound = np.zeros(count)
    beat = int(rng.uniform(0.25, 0.8) * RATE_HZ)
    time_s = np.arange(2 * beat) / RATE_HZ
    envelope = np.exp(-time_s * rng.uniform(2, 6)) * np.minimum(time_s / 0.01, 1)
    for start in range(0, count, beat):
        pitches_hz = 110 * 2 ** (rng.integers(0, 36, 3) / 12)
        chord = sum(
            np.sin(2 * np.pi * pitch * k * time_s) / k**1.5 for pitch in pitches_hz for k in range(1, 8)
        )
        part = sound[start : start + 2 * beat]
        part += (chord * envelope)[: len(part)]
    return sound


def write_wav(path: Path, samples: np.ndarray) -> None:
    """Write samples (S,) float32 in [-1, 1] as a 16-bit file."""
    pcm = np.clip(np.round(samples * 32768), -32768, 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes(pcm.tobytes())
