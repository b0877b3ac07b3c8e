"""How a face looks, as far as telling the people of one recording apart needs it."""

from __future__ import annotations

from collections import deque

import numpy as np
from PIL import Image

THUMBNAIL_PX = 16
LOOKS_KEPT = 8
SAME_PERSON = 0.75  # measured: one person at times a second apart 0.78 to 0.99, two people at most 0.66
STILL_POSSIBLE = 0.5  # enough where the place speaks for the same person too
KNOWN_LOOK = 0.95


def look(crop: np.ndarray) -> np.ndarray:
    """An aligned face (H, W, 3) uint8 as a unit vector: a thumbnail without its mean colour."""
    small = Image.fromarray(crop).resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX)
    pixels = np.asarray(small, np.float32).reshape(-1, 3)
    centred = (pixels - pixels.mean(0)).ravel()
    return centred / max(float(np.linalg.norm(centred)), 1e-6)


class Looks:
    """The latest distinct looks of one person."""

    def __init__(self) -> None:
        self._kept: deque[np.ndarray] = deque(maxlen=LOOKS_KEPT)

    def likeness(self, other: np.ndarray) -> float:
        """Correlation in [-1, 1] with the most similar look that is kept; -1 if there is none."""
        return max((float(kept @ other) for kept in self._kept), default=-1.0)

    def keep(self, other: np.ndarray) -> None:
        """Remember a look, unless one like it is remembered."""
        if self.likeness(other) < KNOWN_LOOK:
            self._kept.append(other)
