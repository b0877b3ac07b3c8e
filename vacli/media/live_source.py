"""Sources of live pictures and sound: cameras, microphones, network addresses, pipes and files.

A number or a name of a device selects a camera through the capture library of the platform: Video4Linux2 and
ALSA, AVFoundation, or DirectShow. `-` is stdin. All other names are URLs or paths that FFmpeg opens.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vacli.errors import UsageError
from vacli.media.devices import capture_library, set_up_alsa

STDIN = "-"
NO_SOUND = "none"
URL = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
NETWORK = ("rtsp", "rtsps", "http", "https", "udp", "srt", "rtp", "rtmp", "rtmps", "tcp", "tls")
LINUX_DEVICE = re.compile(r"/dev/video\d+|/dev/v4l/.+")
# FFmpeg reads a stream for up to 5 s, and 20 frames for their rate, before it returns the first packet. The
# parameters of the usual codecs are known after a few packets.
ANALYSIS = {"analyzeduration": "400000", "fpsprobesize": "8"}  # microseconds, frames
UDP_BUFFER = {"fifo_size": "20000", "overrun_nonfatal": "1", "buffer_size": "1000000"}  # packets of 188 B; B
V4L2_CLOCK = {"timestamps": "abs"}  # the clock of ALSA: microseconds since 1970
SYSTEM_MICROPHONE = "default"
CAMERA_LIBRARIES = ("v4l2", "video4linux2", "avfoundation", "dshow")

Drop = Literal["newest", "oldest", "none"]


@dataclass(frozen=True)
class FFmpegInput:
    """The arguments of `av.open`: a URL, the name of a demuxer or capture library, and options."""

    url: str
    format: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    is_microphone: bool = False


@dataclass(frozen=True)
class LiveSource:
    """A source of pictures and sound.

    name: as the user wrote it. main: the stream or the camera. microphone: a device beside the camera, with
    is_default for one that the user did not name. fallback: the microphone that is used if the default one
    cannot be opened. with_sound: whether sound in `main` is used. audio_track: its number, from 1, None for
    the one of `live_streams`. file: the path of a source that is a file. is_realtime: whether data arrive at
    the pace at which they were recorded. is_pipe: whether they come from a program, which may pass on a
    source in real time.
    """

    name: str
    main: FFmpegInput
    microphone: FFmpegInput | None = None
    microphone_is_default: bool = False
    fallback: FFmpegInput | None = None
    with_sound: bool = True
    audio_track: int | None = None
    file: Path | None = None
    is_realtime: bool = True
    is_pipe: bool = False

    @property
    def default_drop(self) -> Drop:
        """The policy for late frames: a file or a pipe waits, a camera or a network address does not."""
        return "oldest" if self.is_realtime else "none"


def parse_source(
    name: str,
    audio: str | None = None,
    demuxer: str | None = None,
    options: Mapping[str, str] | None = None,
    audio_track: int | None = None,
) -> LiveSource:
    """Return the source of a name.

    audio: the name of a microphone, NO_SOUND, or None for the sound of the stream or the default microphone.
    demuxer: FFmpeg's name of the input format. options: of FFmpeg, for `main`. audio_track: see `LiveSource`.
    Raises UsageError for a name that is no source, for a microphone beside a stream, and for an audio track
    of a camera or beside NO_SOUND.
    """
    given = dict(options or {})
    main = _camera(name, demuxer, given)
    if audio_track is not None and (main is not None or audio == NO_SOUND):
        reason = "a camera has no audio tracks" if main is not None else "--audio none reads no sound"
        raise UsageError(f"--audio-track {audio_track}: {reason}", hint="leave --audio-track out")
    if main is not None:
        fallback = None
        if audio is None and capture_library() == "v4l2":
            # The default one of a sound server needs a plug-in, which PyAV's libasound lacks.
            fallback = FFmpegInput("sysdefault", "alsa", is_microphone=True)
        return LiveSource(name, main, _microphone(audio), audio is None, fallback, with_sound=False)
    if audio not in (None, NO_SOUND):
        raise UsageError(
            f"--audio {audio}: {name} is no camera, and a microphone is used beside a camera only",
            hint="leave --audio out for the sound of the stream, or give --audio none",
        )
    main, is_realtime = _stream(name, demuxer, given)
    is_pipe = name == STDIN or (os.path.exists(name) and not os.path.isfile(name))
    return LiveSource(
        name,
        main,
        with_sound=audio != NO_SOUND,
        audio_track=audio_track,
        file=Path(name) if demuxer is None and main.url == f"file:{name}" and not is_pipe else None,
        is_realtime=is_realtime,
        is_pipe=is_pipe,
    )


def _camera(name: str, demuxer: str | None, options: dict[str, str]) -> FFmpegInput | None:
    """Return the camera of a name, None if it is no camera."""
    library = demuxer if demuxer in CAMERA_LIBRARIES else None
    if library is None and (demuxer or not (name.isdigit() or LINUX_DEVICE.fullmatch(name))):
        return None
    library = library or capture_library()
    if library == "dshow":
        if name.isdigit():
            raise UsageError(
                f"{name}: DirectShow has no numbers of cameras",
                hint="give the camera's name with --format dshow, such as 'Integrated Camera'",
            )
        return FFmpegInput(name if name.startswith("video=") else f"video={name}", library, options)
    if library == "avfoundation":
        return FFmpegInput(f"{name}:none", library, {"framerate": "30", **options})
    path = f"/dev/video{name}" if name.isdigit() else name
    return FFmpegInput(path, library, V4L2_CLOCK | options)


def url_scheme(url: str) -> str:
    """Return the scheme of a URL of FFmpeg in lower case: that of `file:a` is `file`."""
    return url.partition(":")[0].lower()


def _microphone(name: str | None) -> FFmpegInput | None:
    """Return a microphone; None for NO_SOUND, and for the default one on Windows, which has no name."""
    if name == NO_SOUND:
        return None
    library = capture_library()
    if library == "dshow":
        if name is None:
            return None
        return FFmpegInput(f"audio={name.removeprefix('audio=')}", library, is_microphone=True)
    if library == "avfoundation":
        return FFmpegInput(f"none:{name or SYSTEM_MICROPHONE}", library, is_microphone=True)
    set_up_alsa()
    return FFmpegInput(name or SYSTEM_MICROPHONE, "alsa", is_microphone=True)


def _stream(name: str, demuxer: str | None, options: dict[str, str]) -> tuple[FFmpegInput, bool]:
    """Return the input of a URL, a path or stdin, and whether it is in real time."""
    if name == STDIN:
        return FFmpegInput("pipe:0", demuxer, ANALYSIS | options), False
    if demuxer == "lavfi":
        return FFmpegInput(name, demuxer, options), False
    url = URL.match(name)
    if url is None:
        if not os.path.exists(name):
            raise UsageError(
                f"{name}: is no camera, address or file",
                hint="give 0 or /dev/video0, rtsp://, http:// or udp://, a pipe, or - for stdin",
            )
        if stat.S_ISDIR(os.stat(name).st_mode):
            raise UsageError(f"{name}: is a folder", hint="`va predict` reads folders")
        return FFmpegInput(f"file:{name}", demuxer, ANALYSIS | options), False
    scheme = url[1].lower()
    if scheme not in NETWORK:
        raise UsageError(f"{name}: unknown scheme {scheme}", hint=f"known: {', '.join(NETWORK)}")
    buffer = UDP_BUFFER if scheme in ("udp", "rtp") else {}
    return FFmpegInput(name, demuxer, ANALYSIS | buffer | options), True
