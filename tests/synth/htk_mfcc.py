"""HTK's MFCC_0_D_A in numpy, after the HTK book (version 3.4, sections 5.4, 5.6 and 5.9)."""

from __future__ import annotations

import numpy as np

RATE_HZ, FRAME, HOP, FFT = 16000, 400, 160, 512
BANDS, CEPSTRA, LIFTER, EMPHASIS = 26, 12, 22, 0.97


def _mel(hz):
    return 1127 * np.log(1 + np.asarray(hz, float) / 700)


def _filters() -> np.ndarray:
    """Triangles on the mel scale from 0 to 8000 Hz, (257, 26)."""
    edges = np.linspace(0, _mel(RATE_HZ / 2), BANDS + 2)
    bins = _mel(np.arange(FFT // 2 + 1) * RATE_HZ / FFT)
    weights = np.zeros((FFT // 2 + 1, BANDS))
    for band in range(BANDS):
        low, centre, high = edges[band : band + 3]
        rising, falling = (bins - low) / (centre - low), (high - bins) / (high - centre)
        weights[:, band] = np.clip(np.minimum(rising, falling), 0, None)
    weights[0] = 0  # HTK leaves the first bin out
    return weights


def _differences(values: np.ndarray) -> np.ndarray:
    """Regression over two rows to each side, the first row repeated: two rows fewer at the end."""
    padded = np.concatenate([values[:1], values[:1], values])
    count = len(values) - 2
    rows = [padded[k : k + count] for k in range(5)]
    return ((rows[3] - rows[1]) + 2 * (rows[4] - rows[0])) / 10


def mfcc(pcm: np.ndarray) -> np.ndarray:
    """(S,) int16 -> (R, 39): c1 to c12, c0, then both differences."""
    frames = np.lib.stride_tricks.sliding_window_view(pcm.astype(float), FRAME)[::HOP].copy()
    frames[:, 1:] -= EMPHASIS * frames[:, :-1].copy()
    frames[:, 0] *= 1 - EMPHASIS
    frames *= 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(FRAME) / (FRAME - 1))
    power = np.abs(np.fft.rfft(frames, FFT)) ** 2
    bands = np.log(np.maximum(power @ _filters(), 1.0))
    order = np.arange(CEPSTRA + 1)
    basis = np.cos(np.pi * order[:, None] * (np.arange(BANDS) + 0.5) / BANDS)
    cepstra = np.sqrt(2 / BANDS) * bands @ basis.T
    cepstra *= 1 + LIFTER / 2 * np.sin(np.pi * order / LIFTER)
    static = np.roll(cepstra, -1, axis=1)
    first = _differences(np.concatenate([static, *[static[-1:]] * 4]))  # the last row goes on
    return np.concatenate([static, first[:-2], _differences(first)], axis=1)
