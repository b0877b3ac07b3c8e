"""Undamaged recordings and pictures to be damaged: a face, a voice, and many ways to pack them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image
from synth.clips import one_thread
from synth.faces import scene
from synth.sounds import RATE_HZ as SOUND_HZ
from synth.sounds import voice

from vacli.datasets.audio_augmentation import write_wav

FRAMES, RATE_HZ = 30, 25


@dataclass(frozen=True, kw_only=True)
class Packing:
    """A container and its codecs; "" for none."""

    suffix: str
    picture: str = ""
    sound: str = ""
    sound_hz: int = SOUND_HZ
    muxer: tuple[tuple[str, str], ...] = ()
    encoder: tuple[tuple[str, str], ...] = ()


X264 = (("g", "12"), ("preset", "ultrafast"))
PACKINGS = {
    "h264.mp4": Packing(suffix=".mp4", picture="libx264", sound="aac", encoder=X264),
    "parts.mp4": Packing(
        suffix=".mp4",
        picture="libx264",
        sound="aac",
        encoder=X264,
        muxer=(("movflags", "frag_keyframe+empty_moov"),),
    ),
    "hevc.mov": Packing(
        suffix=".mov", picture="libx265", sound="aac", encoder=(("x265-params", "log-level=none:keyint=12"),)
    ),
    "h264.mkv": Packing(suffix=".mkv", picture="libx264", sound="flac", encoder=X264),
    "vp9.webm": Packing(
        suffix=".webm",
        picture="libvpx-vp9",
        sound="libopus",
        sound_hz=48_000,
        encoder=(("deadline", "realtime"), ("cpu-used", "8")),
    ),
    "vp8.webm": Packing(
        suffix=".webm",
        picture="libvpx",
        sound="libopus",
        sound_hz=48_000,
        encoder=(("deadline", "realtime"), ("cpu-used", "8")),
    ),
    "mpeg4.avi": Packing(suffix=".avi", picture="mpeg4", sound="libmp3lame"),
    "h264.ts": Packing(suffix=".ts", picture="libx264", sound="aac", encoder=X264),
    "flv1.flv": Packing(suffix=".flv", picture="flv", sound="libmp3lame", sound_hz=22_050),
    "mpeg2.mpg": Packing(suffix=".mpg", picture="mpeg2video", sound="mp2"),
    "alone.wav": Packing(suffix=".wav", sound="pcm_s16le"),
    "alone.flac": Packing(suffix=".flac", sound="flac"),
    "alone.mp3": Packing(suffix=".mp3", sound="libmp3lame"),
    "alone.ogg": Packing(suffix=".ogg", sound="libopus", sound_hz=48_000),
    "alone.m4a": Packing(suffix=".m4a", sound="aac"),
}
PICTURES = ("still.png", "still.jpg")


def write_all(folder: Path) -> list[Path]:
    """Every packing and picture below `folder`."""
    made = []
    for name, packing in PACKINGS.items():
        write(folder / name, packing)
        made.append(folder / name)
    for name in PICTURES:
        Image.fromarray(scene((160, 120), zoom=1.2)).save(folder / name)
        made.append(folder / name)
    return made


def write_neighbours(folder: Path) -> None:
    """Small whole inputs that stand beside a damaged one: what it must not cost."""
    write_wav(folder / "good.wav", voice(0.8, seed=7))
    write(folder / "good.mp4", PACKINGS["h264.mp4"], frames=6)
    Image.fromarray(scene((150, 110))).save(folder / "good.png")


def write(path: Path, packing: Packing, frames: int = FRAMES) -> None:
    """`frames` of a moving face, and as much of a voice."""
    with av.open(str(path), "w", options=dict(packing.muxer)) as container:
        picture = _picture_stream(container, packing) if packing.picture else None
        sound = (
            container.add_stream(packing.sound, rate=packing.sound_hz, layout="mono")
            if packing.sound
            else None
        )
        for index in range(frames if picture else 0):
            frame = av.VideoFrame.from_ndarray(scene((150 + 2 * index, 120), zoom=1.2), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE_HZ)
            container.mux(picture.encode(frame))
        for stream, blocks in ((sound, _blocks(packing, frames) if sound else ()),):
            for block in blocks:
                container.mux(stream.encode(block))
        for stream in filter(None, (picture, sound)):
            container.mux(stream.encode(None))


def _picture_stream(container: av.container.OutputContainer, packing: Packing) -> av.VideoStream:
    stream = container.add_stream(packing.picture, rate=RATE_HZ, options=dict(packing.encoder))
    one_thread(stream)
    stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
    return stream


def _blocks(packing: Packing, frames: int) -> list[av.AudioFrame]:
    samples = voice(frames / RATE_HZ)
    whole = av.AudioFrame.from_ndarray((samples[None] * 32767).astype(np.int16), format="s16", layout="mono")
    whole.sample_rate, whole.pts, whole.time_base = SOUND_HZ, 0, Fraction(1, SOUND_HZ)
    codec = av.codec.Codec(packing.sound, "w")
    resampler = av.AudioResampler(format=codec.audio_formats[0], layout="mono", rate=packing.sound_hz)
    return [*resampler.resample(whole), *resampler.resample(None)]
