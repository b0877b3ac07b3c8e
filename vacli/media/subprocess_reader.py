"""Decoding in a child process, which may crash or hang without ending this one."""

from __future__ import annotations

import json
import os
import queue
import struct
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from vacli.errors import InputError
from vacli.media.probe import MediaInfo
from vacli.media.reader import Frame, TimedReader
from vacli.media.timeline import Timeline

TIMEOUT_S = 60.0  # no decoder needs this long for one frame
AHEAD_FRAMES = 4
# A message: kind (F frame, B decoding error or None as JSON, E error as JSON), row, height, width, data size;
# then the data.
HEADER = struct.Struct("<cqqqq")

Fields = dict[str, str | None]
Messages = queue.Queue[tuple[bytes, Frame | Fields | None]]


def decoder_command(path: Path, backend: str) -> list[str | Path]:
    """Return the command that writes the frames of a file to its standard output."""
    return [sys.executable, "-m", "vacli.media.decoder_process", path, backend]


class SubprocessReader(TimedReader):
    """A `VideoReader` whose frames come from a child process.

    If the process dies, or sends nothing for `timeout_s`, iteration ends and `decode_error` has the reason.
    """

    def __init__(
        self,
        info: MediaInfo,
        timeline: Timeline,
        command: Sequence[str | Path],
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        super().__init__(info, timeline)
        self._command, self._timeout_s = command, timeout_s

    def _read(self) -> Generator[Frame, None, None]:
        process = subprocess.Popen(
            [os.fspath(part) for part in self._command],  # by the thread that uses a local copy
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_env(),
        )
        messages: Messages = queue.Queue(AHEAD_FRAMES)
        receiver = (process.stdout, self.times_s, messages)
        threading.Thread(target=_receive, args=receiver, daemon=True).start()
        try:
            yield from self._frames_until_end(process, messages)
        finally:
            process.kill()
            _drain(messages)
            process.wait()

    def _frames_until_end(
        self, process: subprocess.Popen[bytes], messages: Messages
    ) -> Generator[Frame, None, None]:
        count = 0
        while True:
            try:
                kind, content = messages.get(timeout=self._timeout_s)
            except queue.Empty:
                self.decode_error = (
                    f"the decoder hangs after {count} frames: nothing for {self._timeout_s:g} s"
                )
                return
            if isinstance(content, Frame):
                count += 1
                yield content
            elif content is None:
                self.decode_error = f"the decoder crashed after {count} frames (exit code {process.wait()})"
                return
            elif kind == b"B":
                self.decode_error = content["decode_error"]
                return
            else:
                raise InputError(content["message"] or "", hint=content["hint"])


def send(out: BinaryIO, kind: bytes, content: Frame | Fields) -> None:
    """Write one message, in the child process."""
    if isinstance(content, Frame):
        height, width = content.rgb.shape[:2]
        out.write(HEADER.pack(kind, content.index, height, width, content.rgb.nbytes))
        out.write(content.rgb.data.cast("B"))
        return
    text = json.dumps(content).encode()
    out.write(HEADER.pack(kind, 0, 0, 0, len(text)) + text)


def _receive(pipe: BinaryIO, times_s: np.ndarray, messages: Messages) -> None:
    """Put the messages of a pipe into the queue; a pipe that ends without a final one gives None."""
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


def _drain(messages: Messages) -> None:
    """Empty the queue, so that a receiver that waits for room in it can end."""
    while not messages.empty():
        messages.get_nowait()


def _env() -> dict[str, str]:
    """Return an environment in which the child process imports this package."""
    here = str(Path(__file__).parents[2])
    return os.environ | {"PYTHONPATH": os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])}
