"""Detection of cover art that the file does not mark as such.

Next to audio, a video stream is cover art
- if it has at most one picture and the audio lasts longer than MIN_AUDIO_S, or
- if it has fewer than MIN_VIDEO_PICTURES and they last less than MAX_FRACTION of the audio.
All others are videos: an encoder that repeats an image over the audio writes many frames.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import av
from av.container import InputContainer

from vacli.media.joined_clock import Reopen, readable_packets

MIN_VIDEO_PICTURES = 10
MIN_AUDIO_S = 1.0
MAX_FRACTION = 0.1
MAX_PACKET_S = 60.0


def is_cover_art(path: Path, container: InputContainer, stream: av.VideoStream, reopen: Reopen) -> bool:
    """Return whether a video stream is only the cover of the audio.

    This reads the first packets of a video, and all packets of an audio file with a cover.
    """
    if not container.streams.audio or stream.frames >= MIN_VIDEO_PICTURES:
        return False
    state = path.stat()
    return _has_few_pictures(_FileState(str(path), state.st_size, state.st_mtime_ns, reopen), stream.index)


@dataclass(frozen=True)
class _FileState:
    """Name, size and time of a file: the key of the cache."""

    name: str
    size: int
    changed_ns: int
    reopen: Reopen = field(compare=False)


@lru_cache(maxsize=256)
def _has_few_pictures(file: _FileState, index: int) -> bool:
    """Apply the rule of this module to the packets; cached, because a file is opened several times."""
    pictures, audio_s, start_s, end_s = 0, 0.0, math.inf, -math.inf
    with file.reopen() as container:
        for packet in readable_packets(container):
            duration_s = float((packet.duration or 0) * packet.time_base)
            duration_s = duration_s if 0 < duration_s <= MAX_PACKET_S else 0.0
            if packet.stream.index == index:
                pictures += 1
                shown_s = float((packet.pts or 0) * packet.time_base)
                start_s, end_s = min(start_s, shown_s), max(end_s, shown_s + duration_s)
            elif packet.stream.type == "audio":
                audio_s += duration_s
            if pictures == MIN_VIDEO_PICTURES:
                return False
    if pictures <= 1:
        return audio_s > MIN_AUDIO_S
    return end_s - start_s < MAX_FRACTION * audio_s
