"""Frames with their true times, whichever library decodes them."""

from __future__ import annotations

from pathlib import Path

from vacli.errors import InputError, UsageError, nearest
from vacli.media.probe import MediaInfo, probe
from vacli.media.reader import Frame, VideoReader
from vacli.media.subprocess_reader import GuardedReader, decoder_command
from vacli.media.timeline import Timeline, read_timeline
from vacli.media.video_decord import objection
from vacli.media.video_pyav import PyavReader
from vacli.packages import require

__all__ = ["BACKENDS", "Frame", "VideoReader", "check_backend", "open_video"]

BACKENDS = ("auto", "decord", "pyav")


def open_video(path: Path, backend: str = "auto") -> VideoReader:
    """A reader of a file's frames.

    `auto` is PyAV: on every clip that was measured it is as exact as decord or more, and takes less time
    (tests/benchmarks/test_media.py). A file whose packets already show damage is decoded in a process of
    its own, and so is everything by decord.
    Raises InputError if the file cannot be read, shows no picture, or is not one that decord shows
    exactly; UsageError for an unknown backend; PackageMissing where decord is not installed.
    """
    check_backend(backend)
    info = probe(path)
    if info.video is None:
        why = f" that can be used: {info.notes[0]}" if info.notes else ""
        raise InputError(f"{path}: has no picture stream{why}")
    timeline = read_timeline(info)
    if backend == "decord":
        return _decord(info, timeline)
    if timeline.broken:
        return GuardedReader(info, timeline, decoder_command(path, "pyav"))
    return PyavReader(info, timeline)


def check_backend(backend: str) -> None:
    """Raises UsageError for an unknown backend, PackageMissing for decord where it is not installed."""
    if backend not in BACKENDS:
        raise UsageError(f"no video backend is called {backend!r}", hint=nearest(backend, BACKENDS))
    if backend == "decord":
        require("decord", "--backend decord", otherwise="leave it out: auto is PyAV")


def _decord(info: MediaInfo, timeline: Timeline) -> VideoReader:
    why_not = objection(info, timeline)
    if why_not:
        raise InputError(f"{info.path}: {why_not}", hint="use the backend pyav")
    return GuardedReader(info, timeline, decoder_command(info.path, "decord"))
