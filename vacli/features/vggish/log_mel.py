"""VGGish's front end: log-mel spectra of 16 kHz sound, 100 a second (Hershey et al. 2017).

25 ms periodic Hann windows every 10 ms, a 512-point FFT, magnitudes, 64 HTK mel bands from 125 to
7500 Hz with the first bin left out, log(mel + 0.01).
"""

from __future__ import annotations

import numpy as np

RATE_HZ = 16000
HOP = 160
WINDOW = 400
FFT = 512
BANDS = 64
LOW_HZ, HIGH_HZ = 125.0, 7500.0
OFFSET = 0.01
SILENCE = float(np.log(OFFSET))
_BLOCK = 6000  # frames at a time: a minute


def _mel(hz: np.ndarray | float) -> np.ndarray:
    return 1127.0 * np.log1p(np.asarray(hz) / 700.0)


def mel_weights() -> np.ndarray:
    """Triangles that are straight on the mel scale. Returns: (257, 64)."""
    bins = _mel(np.linspace(0, RATE_HZ / 2, FFT // 2 + 1))[:, None]
    edges = np.linspace(_mel(LOW_HZ), _mel(HIGH_HZ), BANDS + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    weights = np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)).clip(min=0)
    weights[0] = 0
    return weights


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Log-mel spectra of all whole windows.

    samples: (S,) at 16 kHz. Returns: (T, 64) float32, row k from sample 160 k on.
    """
    if len(samples) < WINDOW:
        return np.empty((0, BANDS), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    weights = mel_weights()
    rows = np.empty((len(frames), BANDS), np.float32)
    for start in range(0, len(frames), _BLOCK):
        magnitude = np.abs(np.fft.rfft(frames[start : start + _BLOCK] * hann, FFT))
        rows[start : start + _BLOCK] = np.log(magnitude @ weights + OFFSET)
    return rows


def log_mel_around(samples: np.ndarray, first: int, count: int) -> np.ndarray:
    """Spectra of frames `first` to `first + count`, with silence outside the samples.

    Returns: (count, 64) float32; frame k begins at sample 160 k, k may be negative.
    """
    start, end = first * HOP, (first + count - 1) * HOP + WINDOW
    inside = samples[max(start, 0) : max(end, 0)]
    before = min(max(-start, 0), end - start)
    padded = np.pad(inside, (before, end - start - before - len(inside)))
    return log_mel(padded)
