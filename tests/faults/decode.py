"""What FFmpeg and Pillow see of a damaged file by their strictest checks: what a program could have noticed.

Differing output is held against `va` only where something here reports the damage: a changed byte inside a
coefficient, or in raw samples, leaves a file that is as valid as the one before.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path

CHECKS = "crccheck+bitstream+buffer"
PICTURES = (".png", ".jpg", ".jpeg")
MOST_PACKETS = 20_000


def main(arguments: list[str]) -> None:
    """Print the complaints about each file as a JSON list, one line a file."""
    for name in arguments:
        print(json.dumps(sorted(set(complaints(Path(name))))))


def complaints(path: Path) -> list[str]:
    """Errors and corruption marks while everything in a file is decoded; empty for a sound file."""
    if path.suffix.lower() in PICTURES:
        return [*_by_pillow(path), *_by_ffmpeg(path)]
    return _by_ffmpeg(path)


def _by_pillow(path: Path) -> list[str]:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(path) as picture:
                picture.load()
    except Exception as error:
        return [f"Pillow: {type(error).__name__}"]
    return []


def _by_ffmpeg(path: Path) -> list[str]:
    import av
    import av.logging

    found: list[str] = []
    av.logging.set_level(av.logging.ERROR)
    with av.logging.Capture(local=False) as lines:
        try:
            with av.open(str(path), options={"err_detect": CHECKS}, **_lenient()) as container:
                found += _decode_all(container)
        except Exception as error:
            found.append(f"{type(error).__name__}")
    av.logging.set_level(None)
    return found + [f"{source}: {text.strip()}" for level, source, text in lines if level <= av.logging.ERROR]


def _lenient() -> dict[str, str]:
    """Names and titles that are no text are nobody's fault; PyAV 19 does not ask any more."""
    import av

    return {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}


def _decode_all(container) -> list[str]:
    found = []
    streams = [s for s in container.streams if s.type in ("video", "audio")]
    for stream in streams:
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {"err_detect": CHECKS}
    for number, packet in enumerate(container.demux(streams)):
        if packet.is_corrupt:
            found.append("corrupt packet")
        try:
            frames = packet.decode()
        except Exception as error:
            found.append(f"decoder: {type(error).__name__}")
            continue
        if any(getattr(frame, "is_corrupt", False) for frame in frames):
            found.append("corrupt frame")
        if number > MOST_PACKETS:
            break
    return found
