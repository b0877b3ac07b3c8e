"""Frames read with decord, for files of which it outputs the frames that the container shows.

Compared with PyAV and FFmpeg, decord outputs frames that an edit list hides, drops the first group of
pictures of programme and transport streams (and repeats the last frame instead), and on damaged files it may
crash, hang, or output smeared pictures without an error. So each file is checked first, and decord runs in a
child process (`subprocess_reader`). Its timestamps are not used. It has wheels for Linux and Windows on
x86-64 only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from vacli.errors import InputError
from vacli.media.probe import MediaInfo, required_video
from vacli.media.reader import Frame
from vacli.media.timeline import Timeline

# Containers with an index, which decord needs to seek to the first frame.
INDEXED = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "flv"}
EIGHT_BIT_420 = {"yuv420p", "yuvj420p"}


def unsupported_reason(info: MediaInfo, timeline: Timeline) -> str | None:
    """Return why decord cannot be used for a file, or None."""
    video = required_video(info)
    if timeline.decode_error:
        return f"the file is damaged ({timeline.decode_error})"
    if timeline.hidden:
        return f"decord outputs {timeline.hidden} frames that an edit list hides"
    if timeline.ticks is None or info.container not in INDEXED:
        return f"decord does not find the first frames of a {info.container} file"
    if video.orientation.mirrored:
        return "decord does not mirror pictures"
    if video.pixel_aspect != 1:
        return "decord does not support pixels that are not square"
    if video.pixel_format not in EIGHT_BIT_420:
        return f"decord is not tested with {video.pixel_format} pictures"
    return None


def read_decord(info: MediaInfo, timeline: Timeline) -> Iterator[Frame]:
    """Yield the frames, upright. Raises InputError if decord finds another number of frames."""
    import decord  # an optional dependency

    decord.logging.set_level(decord.logging.QUIET)
    pictures = decord.VideoReader(os.fspath(info.path))
    if len(pictures) != len(timeline.times_s):
        counts = f"{len(pictures)} frames, the container shows {len(timeline.times_s)}"
        raise InputError(f"{info.path}: decord finds {counts}", hint="use --backend pyav")
    for row, time_s in enumerate(timeline.times_s):
        yield Frame(row, float(time_s), pictures.next().asnumpy())
