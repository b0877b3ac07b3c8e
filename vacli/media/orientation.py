"""Turning a stored picture upright, as the container's display matrix asks."""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np
from av.sidedata.sidedata import Type


@dataclass(frozen=True)
class Turn:
    """Swap rows and columns first, then mirror: the eight ways to lay a picture down."""

    swap: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    @property
    def rotation_deg(self) -> int:
        """Counter-clockwise rotation; with `mirrored`, the mirroring comes after it."""
        if self.swap:
            return 90 if self.mirror_y else 270
        return 180 if self.mirror_y else 0

    @property
    def mirrored(self) -> bool:
        """Whether left and right change places besides the rotation."""
        return self.mirror_x ^ self.mirror_y ^ self.swap

    def size(self, width_px: int, height_px: int) -> tuple[int, int]:
        """Width and height after the turn."""
        return (height_px, width_px) if self.swap else (width_px, height_px)

    def apply(self, rgb: np.ndarray) -> np.ndarray:
        """Turn a picture (H, W, 3); the result is contiguous."""
        if self == AS_STORED:
            return np.ascontiguousarray(rgb)
        rows = rgb.transpose(1, 0, 2) if self.swap else rgb
        rows = rows[:, ::-1] if self.mirror_x else rows
        return np.ascontiguousarray(rows[::-1] if self.mirror_y else rows)


AS_STORED = Turn()


def turn_of(frame: av.VideoFrame) -> Turn:
    """What the display matrix on a decoded frame asks for; angles between go to the nearest quarter.

    The matrix (ISO/IEC 14496-12, 6.2.2) sends a point (x, y) to (a x + c y, b x + d y), y pointing down.
    """
    data = frame.side_data.get(Type.DISPLAYMATRIX)
    if data is None:
        return AS_STORED
    a, b, _, c, d = np.frombuffer(bytes(data), dtype=np.int32)[:5].tolist()
    if abs(a) >= abs(b):
        return Turn(mirror_x=a < 0, mirror_y=d < 0)
    return Turn(swap=True, mirror_x=c < 0, mirror_y=b < 0)
