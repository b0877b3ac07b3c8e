"""Pictures and sound of a live source, on one clock."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class LiveFrame:
    """A picture as it arrives.

    index: number of the picture in the source, ascending; skipped pictures leave a gap. time_s: when it was
    captured or is shown, in seconds of the source's clock. rgb: (H, W, 3) uint8, upright, contiguous and not
    changed later; None where the picture is damaged, and in a source without pictures. has_picture: False in
    such a source.
    """

    index: int
    time_s: float
    rgb: np.ndarray | None
    has_picture: bool = True


@dataclass(frozen=True, eq=False)
class SoundBlock:
    """Successive samples of the sound.

    start_s: time of the first sample, in seconds of the clock of the frames. samples: (S,) float32, mono,
    16 kHz, full scale 1, zero or more.
    """

    start_s: float
    samples: np.ndarray
