"""Frames of a video with their true times, decoded by PyAV or decord."""

from __future__ import annotations

from pathlib import Path

from vacli.errors import InputError, UsageError, nearest
from vacli.media.probe import MediaInfo, probe
from vacli.media.reader import Frame, VideoReader
from vacli.media.subprocess_reader import SubprocessReader, decoder_command
from vacli.media.timeline import Timeline, read_timeline
from vacli.media.video_decord import unsupported_reason
from vacli.media.video_pyav import PyavReader
from vacli.packages import require

__all__ = ["BACKENDS", "Frame", "VideoReader", "check_backend", "open_video"]

BACKENDS = ("auto", "decord", "pyav")


def open_video(path: Path, backend: str = "auto") -> VideoReader:
    """Open a reader of the frames of a file.

    `auto` is PyAV: on all measured clips it is at least as exact as decord and faster
    (tests/benchmarks/test_media.py). Files with damage in their packets, and all files with decord, are
    decoded in a child process. Raises InputError if the file cannot be read, shows no picture, or is not
    supported by decord; UsageError for an unknown backend; PackageMissing if decord is not installed.
    """
    check_backend(backend)
    info = probe(path)
    timeline = read_timeline(info)
    if backend == "decord":
        return _decord(info, timeline)
    if timeline.decode_error:
        return SubprocessReader(info, timeline, decoder_command(path, "pyav"))
    return PyavReader(info, timeline)


def check_backend(backend: str) -> None:
    """Raise UsageError for an unknown backend, PackageMissing for decord if it is not installed."""
    if backend not in BACKENDS:
        raise UsageError(f"there is no video backend {backend!r}", hint=nearest(backend, BACKENDS))
    if backend == "decord":
        require("decord", "--backend decord", otherwise="leave it out: auto is PyAV")


def _decord(info: MediaInfo, timeline: Timeline) -> VideoReader:
    reason = unsupported_reason(info, timeline)
    if reason:
        raise InputError(f"{info.path}: {reason}", hint="use --backend pyav")
    return SubprocessReader(info, timeline, decoder_command(info.path, "decord"))
