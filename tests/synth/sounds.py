"""Generated sounds, as `media.audio.read_sound` returns them."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from vacli.media.audio import Sound

RATE_HZ = 16000
# The first three formants of a, i, u, e and o (Peterson & Barney 1952).
VOWELS_HZ = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))


def sound(samples: np.ndarray, start_s: float = 0.0, total_s: float | None = None) -> Sound:
    """Return a recording that starts at `start_s`, padded with zeros to `total_s`."""
    first = round(start_s * RATE_HZ)
    padded = np.zeros(round(total_s * RATE_HZ) if total_s else first + len(samples), np.float32)
    padded[first : first + len(samples)] = samples
    return Sound(padded, RATE_HZ, ((start_s, start_s + len(samples) / RATE_HZ),))


def noise(seconds: float, seed: int = 0, level: float = 0.1) -> np.ndarray:
    """Return white noise, (S,) float32."""
    count = round(seconds * RATE_HZ)
    return (level * np.random.default_rng(seed).standard_normal(count)).astype(np.float32)


def voice(seconds: float, seed: int = 0) -> np.ndarray:
    """Return a speech-like tone with gliding pitch, syllables, noise and pauses, (S,) float32."""
    rng = np.random.default_rng(seed)
    times_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    pitch_hz = 140 + 40 * np.sin(2 * np.pi * 0.4 * times_s + rng.uniform(0, 6))
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE_HZ
    tone = sum(np.cos(h * phase) / h for h in range(1, 25))
    envelope = np.clip(np.sin(2 * np.pi * 0.7 * times_s + rng.uniform(0, 6)) + 0.4, 0, None)
    breath = rng.standard_normal(len(times_s)) * 0.01
    return (0.1 * envelope * (tone + breath)).astype(np.float32) + noise(seconds, seed, 1e-3)


def syllables(seconds: float, seed: int = 0, level: float = 0.1) -> np.ndarray:
    """Return glides between two vowels with falling pitch, consonants and pauses, (S,) float32.

    level: root mean square. Unlike `voice`, it passes for speech in a speech detector.
    """
    rng, parts, left = np.random.default_rng(seed), [], round(seconds * RATE_HZ)
    while left > 0:
        time = np.linspace(0, 1, round(rng.uniform(0.12, 0.3) * RATE_HZ))
        phase = np.cumsum(rng.uniform(100, 150) * (1.15 - 0.3 * time)) / RATE_HZ
        glottis = np.diff(0.5 - (phase % 1) ** 2, prepend=0) + 0.01 * rng.standard_normal(len(time))
        start, end = (_vowel(glottis, VOWELS_HZ[i]) for i in rng.integers(len(VOWELS_HZ), size=2))
        vowel = start * (1 - time) + end * time
        parts.append(vowel / vowel.std() * np.sqrt(np.sin(np.pi * time)))
        if rng.random() < 0.5:
            parts.append(0.3 * np.diff(rng.standard_normal(round(rng.uniform(0.04, 0.1) * RATE_HZ))))
        if rng.random() < 0.2:
            parts.append(np.zeros(RATE_HZ // 10))
        left = round(seconds * RATE_HZ) - sum(map(len, parts))
    samples = np.concatenate(parts)[: round(seconds * RATE_HZ)]
    return (level * samples / samples.std()).astype(np.float32)


def _vowel(glottis: np.ndarray, formants_hz: tuple[float, ...]) -> np.ndarray:
    """Return the sound of a vocal tract with resonances of 80 to 120 Hz bandwidth."""
    for hertz, width_hz in zip(formants_hz, (80, 90, 120), strict=True):
        radius = np.exp(-np.pi * width_hz / RATE_HZ)
        denominator = [1, -2 * radius * np.cos(2 * np.pi * hertz / RATE_HZ), radius**2]
        glottis = lfilter([sum(denominator)], denominator, glottis)
    return glottis
