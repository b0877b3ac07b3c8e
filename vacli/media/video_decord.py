"""Reading frames with decord, where it is installed and shows the frames that the container shows.

Measured against PyAV and FFmpeg, decord gives hidden frames where there is an edit list, leaves out the
first group of pictures of programme and transport streams (and repeats the last frame instead), and on
damaged files it may crash, wait for ever, or give smeared pictures without a word. So each file is checked
first and decord runs in a process of its own (`guarded`). Its own timestamps are never used. It has wheels
for Linux and Windows on x86-64 only.
"""

from __future__ import annotations

from collections.abc import Iterator

from vacli.errors import InputError
from vacli.media.probe import MediaInfo
from vacli.media.reader import Frame
from vacli.media.timeline import Timeline

# Containers with an index, which decord needs for seeking to the first frame.
INDEXED = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "flv"}
EIGHT_BIT_420 = {"yuv420p", "yuvj420p"}


def objection(info: MediaInfo, timeline: Timeline) -> str | None:
    """Why decord cannot be trusted with a file, or None where it can."""
    if timeline.broken:
        return f"the file is damaged ({timeline.broken})"
    if timeline.hidden:
        return f"decord shows {timeline.hidden} frames that an edit list hides"
    if timeline.ticks is None or info.container not in INDEXED:
        return f"decord does not find the first frames of a {info.container} file"
    if info.video.turn.mirrored:
        return "decord does not mirror"
    if info.video.pixel_aspect != 1:
        return "decord does not make pixels square"
    if info.video.pixel_format not in EIGHT_BIT_420:
        return f"decord was not compared on {info.video.pixel_format} pictures"
    return None


def read_decord(info: MediaInfo, timeline: Timeline) -> Iterator[Frame]:
    """Frames as decord gives them, upright. Raises InputError if it finds another number of frames."""
    import decord  # only here: where it is missing nothing else may notice

    decord.logging.set_level(decord.logging.QUIET)
    pictures = decord.VideoReader(str(info.path))
    if len(pictures) != len(timeline.times_s):
        counts = f"{len(pictures)} frames where the container shows {len(timeline.times_s)}"
        raise InputError(f"{info.path}: decord finds {counts}", hint="use the backend pyav")
    for row, time_s in enumerate(timeline.times_s):
        yield Frame(row, float(time_s), pictures.next().asnumpy())
