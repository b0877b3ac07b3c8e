"""The child process of `subprocess_reader`: decodes one file and writes its frames to standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from vacli.errors import VaError
from vacli.media.probe import probe
from vacli.media.reader import Frame
from vacli.media.subprocess_reader import Fields, send
from vacli.media.timeline import read_timeline
from vacli.media.video_decord import read_decord
from vacli.media.video_pyav import PyavReader


def main(path: str, backend: str) -> None:
    """Write each frame, then the decoding error or None, or the error that ended the process."""
    # Libraries print to standard output; only frames may go into the pipe.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with out:
        try:
            for kind, content in _messages(Path(path), backend):
                send(out, kind, content)
        except VaError as problem:
            send(out, b"E", {"message": str(problem), "hint": problem.hint})


def _messages(path: Path, backend: str) -> Iterator[tuple[bytes, Frame | Fields]]:
    info = probe(path)
    timeline = read_timeline(info)
    reader = PyavReader(info, timeline)
    for frame in read_decord(info, timeline) if backend == "decord" else reader:
        yield b"F", frame
    yield b"B", {"decode_error": reader.decode_error}


if __name__ == "__main__":
    main(*sys.argv[1:])
