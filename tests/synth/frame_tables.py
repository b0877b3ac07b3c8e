"""Frame tables with a known trajectory: quadrants, peaks, and frames without a prediction."""

from __future__ import annotations

import numpy as np

from vacli.output.frame_table import FrameTable, modality

N_FRAMES = 150
RATE_HZ = 25


def frame_table(name: str = "clips/a.mp4", face_id: int = 0, seed: int = 0) -> FrameTable:
    """6 s: pleasant and excited for 2 s, unpleasant for 2 s, 1 s without a prediction, unpleasant for 1 s.

    Arousal has one peak at 3 s.
    """
    rng = np.random.default_rng(seed)
    n = np.arange(N_FRAMES)
    seen = (n < 100) | (n >= 125)
    sound = n < 100
    box = np.where(seen[:, None], rng.uniform(0, 640, (N_FRAMES, 4)), np.nan)
    columns = {
        "frame": n,
        "time_s": n / RATE_HZ,
        "valence": np.where(n < 50, 0.5, -0.5) + rng.uniform(-0.1, 0.1, N_FRAMES),
        "arousal": 0.3 + 0.5 * np.maximum(0, 1 - abs(n - 75) / 10),
        "face_detected": seen,
        "audio_present": sound,
        "speech_present": np.where(sound, n % 3 > 0, -1).astype(np.int64),
        "speaking": np.where(seen & sound, n % 2, -1),
        "modality": modality(seen, sound),
        "valence_uncertainty": rng.uniform(0, 0.3, N_FRAMES),
        "arousal_uncertainty": np.full(N_FRAMES, np.nan),
        "quality": np.where(seen, rng.uniform(0, 0.9, N_FRAMES), 0.0),
        "quality_limit": np.where(seen, "sharpness", "no_face_or_speech"),
        "face_score": np.where(seen, rng.uniform(0.5, 1, N_FRAMES), np.nan),
        "face_id": np.full(N_FRAMES, face_id),
    }
    columns |= dict(zip(("face_x", "face_y", "face_w", "face_h"), box.T, strict=True))
    return FrameTable(name, columns)


HOSTILE_NAMES = (
    "<script>alert(1)</script>.mp4",
    "a\"b&c'd.mp4",
    "two\nlines.mp4",
    "cr\rx.mp4",
    "=1+1",
    "=1+1.mp4",
    "@x.mp4",
    "tab\tx.mp4",
    "bell\x07.mp4",
    "a --> b.mp4",
    "caf\udce9.mp4",
    "]]>.mp4",
    "nel\x85ls\u2028.mp4",
)
