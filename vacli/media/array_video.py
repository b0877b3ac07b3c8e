"""Frames that are in memory already, as a reader of frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from vacli.errors import InputError
from vacli.media.reader import Frame


class ArrayVideo:
    """The frames of an array or another iterable as a `reader.FrameSource`.

    frames: N pictures (H, W, 3) uint8, RGB and upright, such as an array (N, H, W, 3); an iterator may reuse
    one array for all of them. times_s: (N,) seconds, strictly ascending. Raises InputError for other shapes
    and types, and while it is iterated for another number of frames.
    """

    def __init__(self, frames: Iterable[np.ndarray], times_s: Iterable[float]) -> None:
        try:
            self.times_s = np.array(list(times_s), np.float64)
        except (TypeError, ValueError):
            raise InputError("times_s are not numbers", hint="give the seconds of each frame") from None
        self.decode_error: str | None = None
        self.notes: tuple[str, ...] = ()
        self._frames = frames
        if not len(self.times_s):
            raise InputError("times_s is empty", hint="give a time for each frame")
        if (
            self.times_s.ndim != 1
            or not np.isfinite(self.times_s).all()
            or (np.diff(self.times_s) <= 0).any()
        ):
            raise InputError("times_s must have finite, strictly ascending seconds, one for each frame")
        if not isinstance(frames, Iterable):
            raise InputError(
                "frames are no pictures", hint="give an array (N, height, width, 3), or an iterable"
            )
        if isinstance(frames, np.ndarray) and len(frames) != len(self.times_s):
            raise self._count_error(len(frames))

    def __len__(self) -> int:
        return len(self.times_s)

    def __iter__(self) -> Iterator[Frame]:
        count = 0
        for count, picture in enumerate(self._frames, 1):
            if count > len(self.times_s):
                raise self._count_error(count)
            yield Frame(count - 1, float(self.times_s[count - 1]), _rgb(picture, count - 1))
        if count < len(self.times_s):
            raise self._count_error(count)

    def _count_error(self, count: int) -> InputError:
        more = " or more" if not isinstance(self._frames, np.ndarray) and count > len(self.times_s) else ""
        return InputError(f"there are {count}{more} frames and {len(self.times_s)} times_s")


def _rgb(picture: np.ndarray, index: int) -> np.ndarray:
    """A copy of a picture, because an iterator may overwrite it while it is processed."""
    picture = np.asarray(picture)
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise InputError(
            f"frame {index} has the shape {picture.shape} and type {picture.dtype}",
            hint="give RGB pictures (height, width, 3) of type uint8",
        )
    return picture.copy()
