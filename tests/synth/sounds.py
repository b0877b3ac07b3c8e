"""Generated sounds, as `media.audio.read_sound` returns them."""

from __future__ import annotations

import numpy as np

from vacli.media.audio import Sound

RATE_HZ = 16000


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
