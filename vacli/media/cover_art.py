"""Telling the cover of a sound from a video, where the file does not.

Beside sound, a picture stream is none
- if it has one picture at most and the sound lasts longer than LEAST_SOUND_S, or
- if it has fewer than MOST_PICTURES and they last less than SHARE of the sound.
Everything else is a video: a still that an encoder repeats over the sound has many frames.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import av
from av.container import InputContainer

from vacli.media.joined_clock import Reopen, readable

MOST_PICTURES = 10
LEAST_SOUND_S = 1.0
SHARE = 0.1
LONGEST_PACKET_S = 60.0


def is_cover(path: Path, container: InputContainer, stream: av.VideoStream, reopen: Reopen) -> bool:
    """Whether a picture stream is but the cover of the sound beside it.

    Of a video its first packets are read, of a sound with a cover all.
    """
    if not container.streams.audio or stream.frames >= MOST_PICTURES:
        return False
    state = path.stat()
    return _looked_up(_File(str(path), state.st_size, state.st_mtime_ns, reopen), stream.index)


@dataclass(frozen=True)
class _File:
    """A file as it was when it was looked at."""

    name: str
    size: int
    changed_ns: int
    reopen: Reopen = field(compare=False)


@lru_cache(maxsize=256)
def _looked_up(file: _File, index: int) -> bool:
    """`is_cover` by the packets; a file is opened several times on its way, and looked at once."""
    pictures, sound_s, shown_s = 0, 0.0, [math.inf, -math.inf]
    with file.reopen() as container:
        for packet in readable(container):
            lasts_s = float((packet.duration or 0) * packet.time_base)
            lasts_s = lasts_s if 0 < lasts_s <= LONGEST_PACKET_S else 0.0
            if packet.stream.index == index:
                pictures += 1
                start_s = float((packet.pts or 0) * packet.time_base)
                shown_s = [min(shown_s[0], start_s), max(shown_s[1], start_s + lasts_s)]
            elif packet.stream.type == "audio":
                sound_s += lasts_s
            if pictures == MOST_PICTURES:
                return False
    if pictures <= 1:
        return sound_s > LEAST_SOUND_S
    return shown_s[1] - shown_s[0] < SHARE * sound_s
