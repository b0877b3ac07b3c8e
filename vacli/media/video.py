"""Frames with their true times, whichever library decodes them."""

from __future__ import annotations

from pathlib import Path

from vacli.errors import InputError, UsageError, nearest
from vacli.media.frame import Frame, VideoReader
from vacli.media.probe import probe
from vacli.media.timeline import read_timeline
from vacli.media.video_pyav import PyavReader

__all__ = ["BACKENDS", "Frame", "VideoReader", "open_video"]

BACKENDS = ("auto", "decord", "pyav")


def open_video(path: Path, backend: str = "auto") -> VideoReader:
    """A reader of a file's frames.

    Raises InputError if the file cannot be read or shows no picture, UsageError for an unknown backend.
    """
    if backend not in BACKENDS:
        raise UsageError(f"no video backend is called {backend!r}", hint=nearest(backend, BACKENDS))
    info = probe(path)
    if info.video is None:
        raise InputError(f"{path}: has no picture stream")
    return PyavReader(info, read_timeline(info))
