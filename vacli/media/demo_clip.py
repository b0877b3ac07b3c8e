"""A generated short clip: a photographed face in a moving camera, whose mouth moves with synthetic speech.

The photograph is NASA's portrait of Eileen Collins (public domain), the version of scikit-image.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from vacli.files.atomic import staged_file
from vacli.media.synthetic_speech import RATE_HZ as SOUND_HZ
from vacli.media.synthetic_speech import syllables

PHOTOGRAPH = Path(__file__).with_name("astronaut.png")
SIZE_PX = (640, 360)
RATE = Fraction(25)
SECONDS = 6.0
FACE_PX = (222.0, 128.0)  # centre of the face in the photograph
AWAY_S = (4.4, 5.2)  # the camera leaves the face, so that there are rows without one
SPEECH_END_S = 5.0
SPEECH_SEED = 0
PAUSES_S = ((1.5, 1.9), (3.2, 3.6))
# Pixels of the photograph: the ends and the middle of the line below the upper teeth, the box that moves with
# the jaw, and how far it moves.
LIPS_PX, JAW_PX, JAW_DROP_PX = (139.0, 147.5), (184, 128, 262, 192), 11.0
LIP_DROP_PX = 9.0  # of the upper lip and the corners of the mouth, in proportion to the height in the box
MOUTH_RGB = (60, 25, 25)


def write_demo_clip(path: Path, seconds: float = SECONDS) -> None:
    """Write an H.264 + AAC clip at RATE; `seconds` is at most SECONDS."""
    import av

    with staged_file(path) as part, av.open(str(part), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=RATE, options={"crf": "20", "preset": "veryfast"})
        video.width, video.height = SIZE_PX
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=SOUND_HZ, layout="mono")
        speech = _speech()
        for picture in _pictures(_mouth_openings(speech, int(seconds * RATE))):
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(video.encode(None))
        sound = av.AudioFrame.from_ndarray(speech[np.newaxis, : int(seconds * SOUND_HZ)], "fltp", "mono")
        sound.sample_rate, sound.pts = SOUND_HZ, 0
        container.mux(audio.encode(sound))
        container.mux(audio.encode(None))


def _pictures(openings: np.ndarray) -> Iterator[np.ndarray]:
    """Yield pictures (360, 640, 3) uint8 of the photograph, seen by a moving camera.

    openings: of the mouth in each picture, from 0 to 1.
    """
    from PIL import Image

    photograph = np.asarray(Image.open(PHOTOGRAPH).convert("RGB"))
    width, height = SIZE_PX
    for index, opening in enumerate(openings):
        time_s = float(index / RATE)
        zoom = 1.85 + 0.25 * np.sin(2 * np.pi * time_s / SECONDS)
        sway = 8 * np.sin(2 * np.pi * 0.4 * time_s)
        away = 200.0 if AWAY_S[0] <= time_s < AWAY_S[1] else 0.0
        left = FACE_PX[0] + sway - width / zoom / 2
        top = FACE_PX[1] + away - height / zoom / 2
        view = (1 / zoom, 0, left, 0, 1 / zoom, top)
        shown = Image.fromarray(_with_open_mouth(photograph, opening))
        yield np.asarray(shown.transform(SIZE_PX, Image.Transform.AFFINE, view, Image.Resampling.BILINEAR))


def _speech() -> np.ndarray:
    """(S,) float32: syllables with PAUSES_S that end at SPEECH_END_S."""
    time_s = np.arange(int(SECONDS * SOUND_HZ)) / SOUND_HZ
    is_pause = np.any([(start <= time_s) & (time_s < end) for start, end in PAUSES_S], axis=0)
    return syllables(SECONDS, SPEECH_SEED) * (~is_pause & (time_s < SPEECH_END_S))


def _mouth_openings(speech: np.ndarray, frames: int) -> np.ndarray:
    """(frames,) from 0 to 1: how far the mouth is open, by the level of the speech."""
    from scipy.ndimage import gaussian_filter1d

    hop = SOUND_HZ // int(RATE)
    level = np.sqrt(np.square(speech[: frames * hop].reshape(frames, hop)).mean(axis=1))
    return np.clip(gaussian_filter1d(level, 0.8) / np.percentile(level, 90), 0, 1)


def _with_open_mouth(photograph: np.ndarray, opening: float) -> np.ndarray:
    """The photograph (H, W, 3) with the jaw moved down, and darkness between the lips."""
    from scipy.ndimage import map_coordinates

    left, top, right, bottom = JAW_PX
    y, x = np.mgrid[top:bottom, left:right].astype(np.float64)
    sideways = np.sin(np.pi * (x - left) / (right - left))
    at_y = np.clip(y - LIP_DROP_PX * opening * sideways * (y - top) / (bottom - top), top, bottom)
    lips = LIPS_PX[0] + (LIPS_PX[1] - LIPS_PX[0]) * sideways
    gap = JAW_DROP_PX * opening * sideways**2 * np.clip((bottom - at_y) / (bottom - lips), 0, 1)
    is_jaw = at_y > lips
    from_y = np.where(is_jaw, np.maximum(at_y - gap, lips), at_y)
    moved = np.stack([map_coordinates(photograph[..., k], (from_y, x), order=1) for k in range(3)], axis=-1)
    moved[is_jaw & (at_y - gap <= lips) & (gap > 1)] = MOUTH_RGB
    shown = photograph.copy()
    shown[top:bottom, left:right] = moved
    return shown
