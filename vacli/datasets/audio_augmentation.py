"""Speech as other rooms, microphones and lines would have brought it, and sound that is no speech at all.

A voice model that hears only studio recordings learns their level, their room and their silence. These
disturbances take that away; all draws come from the generator that is given.
"""

from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
from scipy import signal

from vacli.media.audio_segments import RATE_HZ

PACE = (0.88, 1.12)  # played faster or slower: pitch and formants move together, as between speakers
DECAY_S = (0.15, 0.7)  # time in which reverberation falls by 60 dB
DIRECT_DB = (0.0, 15.0)  # direct sound over reverberation
TILT_DB = 8.0  # of a first-order shelf at TILT_HZ, up or down
TILT_HZ = 1000.0
TELEPHONE_HZ = (300.0, 3400.0)  # ITU-T G.712
NOISE_DB = (3.0, 35.0)  # speech over noise
PEAK_DB = (-35.0, -1.0)  # what the loudest sample becomes
CHANCES = {"pace": 0.7, "room": 0.5, "tilt": 0.7, "telephone": 0.25, "noise": 0.7}


def disturbed(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Speech (S,) float32 at 16 kHz under other conditions; another length where its pace changes."""
    sound = np.asarray(samples, np.float64)
    for name, change in CHANGES.items():
        if rng.random() < CHANCES[name]:
            sound = change(sound, rng)
    return at_level(sound, rng.uniform(*PEAK_DB))


def at_level(sound: np.ndarray, peak_db: float) -> np.ndarray:
    """The sound with its loudest sample at `peak_db` of full scale; float32."""
    peak = np.abs(sound).max(initial=0.0)
    return (sound * (10 ** (peak_db / 20) / max(peak, 1e-9))).astype(np.float32)


def _other_pace(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    ratio = Fraction(rng.uniform(*PACE)).limit_denominator(40)
    return signal.resample_poly(sound, ratio.denominator, ratio.numerator)


def _in_a_room(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Exponentially decaying noise as the room's answer (Polack 1988)."""
    decay_s = rng.uniform(*DECAY_S)
    time_s = np.arange(int(decay_s * RATE_HZ)) / RATE_HZ
    tail = rng.standard_normal(len(time_s)) * 10 ** (-3 * time_s / decay_s)
    tail *= 10 ** (-rng.uniform(*DIRECT_DB) / 20) / np.linalg.norm(tail)
    return sound + signal.fftconvolve(sound, tail)[: len(sound)]


def _tilted(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    low = signal.lfilter(*signal.butter(1, TILT_HZ, fs=RATE_HZ), sound)
    return low + (sound - low) * 10 ** (rng.uniform(-TILT_DB, TILT_DB) / 20)


def _by_telephone(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return signal.sosfilt(signal.butter(4, TELEPHONE_HZ, "bandpass", fs=RATE_HZ, output="sos"), sound)


def _in_noise(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    noise = coloured_noise(len(sound), rng)
    power = np.sqrt(np.mean(sound**2) / max(np.mean(noise**2), 1e-12))
    return sound + noise * power * 10 ** (-rng.uniform(*NOISE_DB) / 20)


CHANGES = {
    "pace": _other_pace,
    "room": _in_a_room,
    "tilt": _tilted,
    "telephone": _by_telephone,
    "noise": _in_noise,
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
    made = (coloured_noise, _hum, _chords)[kind - 1](count, rng)
    return at_level(made, rng.uniform(-60, -3))


def _hum(count: int, rng: np.random.Generator) -> np.ndarray:
    time_s = np.arange(count) / RATE_HZ
    mains_hz = rng.choice([50.0, 60.0])
    tones = sum(np.sin(2 * np.pi * mains_hz * k * time_s) / k for k in range(1, 9))
    return tones + 0.3 * coloured_noise(count, rng) / 3


def _chords(count: int, rng: np.random.Generator) -> np.ndarray:
    """Three struck harmonic tones at a time, in some beat."""
    made = np.zeros(count)
    beat = int(rng.uniform(0.25, 0.8) * RATE_HZ)
    time_s = np.arange(2 * beat) / RATE_HZ
    struck = np.exp(-time_s * rng.uniform(2, 6)) * np.minimum(time_s / 0.01, 1)
    for start in range(0, count, beat):
        pitches_hz = 110 * 2 ** (rng.integers(0, 36, 3) / 12)
        chord = sum(
            np.sin(2 * np.pi * pitch * k * time_s) / k**1.5 for pitch in pitches_hz for k in range(1, 8)
        )
        here = made[start : start + 2 * beat]
        here += (chord * struck)[: len(here)]
    return made


def write_wav(path: Path, samples: np.ndarray) -> None:
    """Samples (S,) float32 in [-1, 1] as a 16-bit file."""
    whole = np.clip(np.round(samples * 32768), -32768, 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes(whole.tobytes())
