"""Decoding in a process of its own, for what may crash or hang: it must not take the run with it."""

from __future__ import annotations

import json
import os
import queue
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from vacli.errors import InputError
from vacli.media.probe import MediaInfo
from vacli.media.reader import Frame, TimedReader
from vacli.media.timeline import Timeline

SILENCE_S = 60.0  # no decoder needs this long for one frame
AHEAD_FRAMES = 4
# A message: kind (F frame, B broken or None as JSON, E error as JSON), row, height, width; then its bytes.
HEADER = struct.Struct("<cqqqq")


def decoder_command(path: Path, backend: str) -> list[str]:
    """The command whose standard output is a file's frames."""
    return [sys.executable, "-m", "vacli.media.decoder_process", str(path), backend]


class GuardedReader(TimedReader):
    """A `VideoReader` whose frames come from a child process.

    If the child dies or stays silent for `silence_s`, iteration ends and `broken` says so.
    """

    def __init__(
        self, info: MediaInfo, timeline: Timeline, command: list[str], silence_s: float = SILENCE_S
    ) -> None:
        super().__init__(info, timeline)
        self._command, self._silence_s = command, silence_s

    def _read(self) -> Iterator[Frame]:
        child = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_env(),
        )
        messages: queue.Queue[tuple[bytes, Frame | dict | None]] = queue.Queue(AHEAD_FRAMES)
        threading.Thread(target=_receive, args=(child.stdout, self.times_s, messages), daemon=True).start()
        try:
            yield from self._until_the_end(child, messages)
        finally:
            child.kill()
            _drain(messages)
            child.wait()

    def _until_the_end(self, child: subprocess.Popen, messages: queue.Queue) -> Iterator[Frame]:
        given = 0
        while True:
            try:
                kind, content = messages.get(timeout=self._silence_s)
            except queue.Empty:
                self.broken = f"the decoder hangs after {given} frames: nothing for {self._silence_s:g} s"
                return
            if kind == b"F":
                given += 1
                yield content
            elif kind == b"B":
                self.broken = content["broken"]
                return
            elif kind == b"E":
                raise InputError(content["message"], hint=content["hint"])
            else:
                self.broken = f"the decoder crashed after {given} frames (exit code {child.wait()})"
                return


def send(out: BinaryIO, kind: bytes, content: Frame | dict) -> None:
    """Write one message; the child's side of the pipe."""
    if isinstance(content, Frame):
        height, width = content.rgb.shape[:2]
        out.write(HEADER.pack(kind, content.index, height, width, content.rgb.nbytes))
        out.write(memoryview(content.rgb).cast("B"))
        return
    text = json.dumps(content).encode()
    out.write(HEADER.pack(kind, 0, 0, 0, len(text)) + text)


def _receive(pipe: BinaryIO, times_s: np.ndarray, messages: queue.Queue) -> None:
    """Put what arrives into the queue; a pipe that ends without a last word gives the kind `X`."""
    with pipe:
        while len(header := pipe.read(HEADER.size)) == HEADER.size:
            kind, row, height, width, count = HEADER.unpack(header)
            data = pipe.read(count)
            if len(data) < count:
                break
            if kind != b"F":
                messages.put((kind, json.loads(data)))
                return
            rgb = np.frombuffer(bytearray(data), dtype=np.uint8).reshape(height, width, 3)
            messages.put((kind, Frame(row, float(times_s[row]), rgb)))
    messages.put((b"X", None))


def _drain(messages: queue.Queue) -> None:
    """Let a receiver that waits for room in the queue come to its end."""
    while not messages.empty():
        messages.get_nowait()


def _env() -> dict[str, str]:
    """The environment in which the child finds this very package."""
    here = str(Path(__file__).parents[2])
    return os.environ | {"PYTHONPATH": os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])}
