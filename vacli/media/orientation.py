"""Orientation of stored pictures, from the display matrix of the container."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type


@dataclass(frozen=True)
class Orientation:
    """One of the eight orientations: rows and columns are transposed first, then mirrored."""

    transpose: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    @property
    def rotation_deg(self) -> int:
        """Return the counter-clockwise rotation; with `mirrored`, the picture is mirrored after it."""
        if self.transpose:
            return 90 if self.mirror_y else 270
        return 180 if self.mirror_y else 0

    @property
    def mirrored(self) -> bool:
        """Return whether left and right are exchanged after the rotation."""
        return self.mirror_x ^ self.mirror_y ^ self.transpose

    def size(self, width_px: int, height_px: int) -> tuple[int, int]:
        """Return width and height of the upright picture."""
        return (height_px, width_px) if self.transpose else (width_px, height_px)

    def apply(self, rgb: np.ndarray) -> np.ndarray:
        """Make a stored picture (H, W, 3) upright; the result is contiguous."""
        return np.ascontiguousarray(self.turn(rgb))

    def turn(self, stored: np.ndarray) -> np.ndarray:
        """An upright view of a stored picture (H, W, 3) or of one of its planes (H, W)."""
        rows = stored.swapaxes(0, 1) if self.transpose else stored
        rows = rows[:, ::-1] if self.mirror_x else rows
        return rows[::-1] if self.mirror_y else rows


UPRIGHT_AS_STORED = Orientation()


def read_orientation(frame: av.VideoFrame) -> Orientation:
    """Read the display matrix of a decoded frame; other angles are rounded to the nearest quarter turn.

    The matrix (ISO/IEC 14496-12, 6.2.2) takes a point (x, y) to (a x + c y, b x + d y), y pointing down.
    """
    side_data: Any = frame.side_data  # the stubs of PyAV lack lookup by type
    data = side_data.get(Type.DISPLAYMATRIX)
    if data is None:
        return UPRIGHT_AS_STORED
    a, b, _, c, d = np.frombuffer(bytes(data), dtype=np.int32)[:5].tolist()
    if abs(a) >= abs(b):
        return Orientation(mirror_x=a < 0, mirror_y=d < 0)
    return Orientation(transpose=True, mirror_x=c < 0, mirror_y=b < 0)
