"""A copy of the packets of live streams in a file that is readable up to its end at any time."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.stream import Stream

from vacli.errors import OutputError
from vacli.media.container import DECODER_ERRORS, error_text

SYNC_S = 1.0
# Clusters of at most a second; an index at the end is not needed. Each packet is written at once.
OPTIONS = {"matroska": {"cluster_time_limit": "1000", "flush_packets": "1"}, "mpegts": {"flush_packets": "1"}}
SUFFIX = {"matroska": ".mkv", "mpegts": ".ts"}


def recording_format(container: InputContainer) -> str:
    """Return the format of a recording: MPEG-TS for a transport stream, else Matroska."""
    return "mpegts" if container.format.name == "mpegts" else "matroska"


class MediaRecorder:
    """Writes packets without encoding; their times in the file are those of the rows.

    stem: the path without its ending. streams: all that are recorded, of one or more containers.
    `problem` is the reason why the recording ended early, or None. Raises OutputError if the file cannot be
    written or a codec cannot be stored.
    """

    def __init__(self, stem: Path, streams: Sequence[Stream], form: str) -> None:
        self.path = stem.with_name(stem.name + SUFFIX[form])
        self.problem: str | None = None
        self._lock = threading.Lock()
        try:
            self._file = av.open(str(self.path), "w", format=form, options=OPTIONS[form])
            self._streams: dict[int, Any] = {
                id(stream): self._file.add_stream_from_template(stream) for stream in streams
            }
            self._file.start_encoding()
            self._fd = os.open(self.path, os.O_RDWR)
        except (*DECODER_ERRORS, OSError) as problem:
            raise OutputError(f"{self.path}: cannot record the media ({error_text(problem)})") from None
        self._synced_s = time.monotonic()

    def add(self, packet: av.Packet[Any], zero_s: float) -> None:
        """Write a packet that has been decoded; zero_s: the time on its clock that becomes 0 s."""
        stream = self._streams.get(id(packet.stream))
        if stream is None or not packet.size or packet.dts is None or self.problem is not None:
            return
        zero = round(zero_s / float(packet.time_base))
        packet.dts -= zero
        packet.pts = packet.dts if packet.pts is None else packet.pts - zero
        packet.stream = stream
        with self._lock:
            try:
                self._file.mux_one(packet)
                self._sync()
            except ValueError:  # FFmpeg's "invalid argument": a timestamp that does not ascend
                return
            except (*DECODER_ERRORS, OSError) as problem:
                self.problem = f"{self.path}: the recording ended ({error_text(problem)})"

    def _sync(self) -> None:
        """Write to the disk about once a second."""
        if time.monotonic() - self._synced_s >= SYNC_S:
            self._synced_s = time.monotonic()
            os.fsync(self._fd)

    def close(self) -> None:
        """Complete the file."""
        with self._lock, suppress(*DECODER_ERRORS, OSError):
            self._file.close()
            os.fsync(self._fd)
            os.close(self._fd)
