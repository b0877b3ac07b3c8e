"""A generated short clip: a photographed face in a moving camera, and speech-like audio.

The photograph is NASA's portrait of Eileen Collins (public domain), the version of scikit-image.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from vacli.files.atomic import staged_file

PHOTOGRAPH = Path(__file__).with_name("astronaut.png")
SIZE_PX = (640, 360)
RATE = Fraction(25)
SOUND_HZ = 16_000
SECONDS = 6.0
FACE_PX = (222.0, 128.0)  # centre of the face in the photograph
AWAY_S = (4.4, 5.2)  # the camera leaves the face, so that there are rows without one
SPEECH_END_S = 5.0
FORMANTS_HZ = ((700, 90), (1220, 110), (2600, 160))  # centre and bandwidth, an open vowel


def write_demo_clip(path: Path, seconds: float = SECONDS) -> None:
    """Write an H.264 + AAC clip at RATE; `seconds` is at most SECONDS."""
    import av

    with staged_file(path) as part, av.open(str(part), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=RATE, options={"crf": "20", "preset": "veryfast"})
        video.width, video.height = SIZE_PX
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=SOUND_HZ, layout="mono")
        for picture in _pictures(seconds):
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(video.encode(None))
        sound = av.AudioFrame.from_ndarray(_speech()[np.newaxis, : int(seconds * SOUND_HZ)], "fltp", "mono")
        sound.sample_rate, sound.pts = SOUND_HZ, 0
        container.mux(audio.encode(sound))
        container.mux(audio.encode(None))


def _pictures(seconds: float) -> Iterator[np.ndarray]:
    """Yield pictures (360, 640, 3) uint8 of the photograph, seen by a moving camera."""
    from PIL import Image

    photograph = Image.open(PHOTOGRAPH)
    width, height = SIZE_PX
    for index in range(int(seconds * RATE)):
        time_s = float(index / RATE)
        zoom = 1.85 + 0.25 * np.sin(2 * np.pi * time_s / SECONDS)
        sway = 8 * np.sin(2 * np.pi * 0.4 * time_s)
        away = 200.0 if AWAY_S[0] <= time_s < AWAY_S[1] else 0.0
        left = FACE_PX[0] + sway - width / zoom / 2
        top = FACE_PX[1] + away - height / zoom / 2
        view = (1 / zoom, 0, left, 0, 1 / zoom, top)
        yield np.asarray(
            photograph.transform(SIZE_PX, Image.Transform.AFFINE, view, Image.Resampling.BILINEAR)
        )


def _speech() -> np.ndarray:
    """Synthesize syllables from glottal pulses of a varying pitch and three formants; (S,) float32."""
    from scipy.signal import iirpeak, lfilter

    time_s = np.arange(int(SECONDS * SOUND_HZ)) / SOUND_HZ
    pitch_hz = 160 + 40 * np.sin(2 * np.pi * 0.5 * time_s) + 15 * np.sin(2 * np.pi * 3.1 * time_s)
    phase = np.cumsum(pitch_hz) / SOUND_HZ
    pulses = np.diff(np.floor(phase), prepend=0.0)
    voice = sum(lfilter(*iirpeak(centre, centre / band, fs=SOUND_HZ), pulses) for centre, band in FORMANTS_HZ)
    syllables = np.clip(np.sin(2 * np.pi * 2.2 * time_s) + 0.4, 0, None) * (time_s < SPEECH_END_S)
    sound = voice * syllables
    return (0.4 * sound / np.abs(sound).max()).astype(np.float32)
