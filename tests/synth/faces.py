"""Generated pictures and videos with a face from a free photograph."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import av
import numpy as np
import skimage.data
from PIL import Image

from vacli.media.reader import Frame

SIZE_PX = (320, 240)
RATE_HZ = 25


@cache
def portrait() -> np.ndarray:
    """Return (512, 512, 3) uint8: Eileen Collins, NASA (public domain), one face of about 95 x 120 px."""
    picture = skimage.data.astronaut()
    picture.setflags(write=False)  # all callers share it
    return picture


def somebody_else() -> np.ndarray:
    """Return a face of other appearance: mirrored, with exchanged and partly inverted colours."""
    mirrored = portrait()[:, ::-1]
    return np.ascontiguousarray(
        np.stack([mirrored[..., 2], 255 - mirrored[..., 0] // 2, mirrored[..., 1]], 2)
    )


def scene(
    place: tuple[float, float] | None, person: np.ndarray | None = None, zoom: float = 1.0
) -> np.ndarray:
    """Return (240, 320, 3) uint8: a face with its centre at `place` (x, y), or only a grey wall."""
    width, height = SIZE_PX
    canvas = np.tile(np.linspace(70, 120, width, dtype=np.uint8)[None, :, None], (height, 1, 3))
    if place is None:
        return canvas
    head = portrait()[30:210, 140:320] if person is None else person[30:210, 192:372]
    side = round(180 * zoom)
    head = np.asarray(
        Image.fromarray(np.ascontiguousarray(head)).resize((side, side), Image.Resampling.BICUBIC)
    )
    left, top = (round(place[0] - side / 2), round(place[1] - side / 2))
    picture = Image.fromarray(canvas)
    picture.paste(Image.fromarray(head), (left, top))
    return np.asarray(picture)


def frames(pictures: Sequence[np.ndarray], rate_hz: float = RATE_HZ) -> list[Frame]:
    """Return pictures as frames at a constant rate."""
    return [Frame(i, i / rate_hz, picture) for i, picture in enumerate(pictures)]


def write_video(path: Path, pictures: Sequence[np.ndarray]) -> Path:
    """Write pictures (H, W, 3) uint8 as an H.264 file at RATE_HZ."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE_HZ, options={"crf": "15", "g": "5"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
