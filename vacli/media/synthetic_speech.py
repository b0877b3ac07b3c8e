"""Synthetic syllables that pass for speech in a speech detector."""

from __future__ import annotations

import numpy as np

RATE_HZ = 16_000
# The first three formants of a, i, u, e and o, and their bandwidths (Peterson and Barney 1952).
VOWELS_HZ = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))
BANDWIDTHS_HZ = (80, 90, 120)


def syllables(seconds: float, seed: int = 0, level: float = 0.1) -> np.ndarray:
    """Return glides between two vowels with falling pitch, consonants and pauses, (S,) float32 at RATE_HZ.

    level: root mean square.
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
    """Return the sound of a vocal tract with these resonances."""
    from scipy.signal import lfilter

    for hertz, width_hz in zip(formants_hz, BANDWIDTHS_HZ, strict=True):
        radius = np.exp(-np.pi * width_hz / RATE_HZ)
        denominator = [1, -2 * radius * np.cos(2 * np.pi * hertz / RATE_HZ), radius**2]
        glottis = lfilter([sum(denominator)], denominator, glottis)
    return glottis
