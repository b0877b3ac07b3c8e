"""Why a live source cannot be opened: the reason, and what to do next."""

from __future__ import annotations

import errno

import av

from vacli.errors import InputError
from vacli.media.container import error_text
from vacli.media.devices import CAMERA, MICROPHONE, capture_library, device_names
from vacli.media.live_source import FFmpegInput, url_scheme

Reason = tuple[str, str]  # what happened, what to do next

PIPE_HINT = "read it by another program: `ffmpeg -i SOURCE -c copy -f mpegts - | va live -`"
SRT_HINT = "read it by another program: `srt-live-transmit SOURCE file://con | va live -`"
SENDER_HINT = "check whether the sender runs and sends to this address"
CHECK_HINT = "check the name and the address"
NETWORK: dict[int, Reason] = {
    errno.ETIMEDOUT: ("no answer", SENDER_HINT),
    errno.ECONNREFUSED: (
        "the connection is refused",
        "check whether the server runs, and the port of the address",
    ),
    errno.EADDRINUSE: ("another program uses this port", "end that program, or choose another port"),
    errno.EADDRNOTAVAIL: (
        "this machine does not have this address",
        "receive at an address of this machine, such as 0.0.0.0",
    ),
    errno.EACCES: ("this port needs more rights", "choose a port above 1023"),
    errno.EIO: ("the host is not known or cannot be reached", "check its name and the network"),
}
CAMERAS: dict[int, Reason] = {
    errno.EBUSY: ("another program uses this camera", "end that program, or choose another camera"),
    errno.EINVAL: ("the camera refuses these options", "omit --input-option, or give a mode of the camera"),
    errno.EACCES: (
        "you may not open this camera",
        "become a member of its group, which `ls -l /dev` shows (often: video), and log in again",
    ),
}
FILES: dict[int, Reason] = {
    errno.EACCES: ("you may not read it", "change its permissions"),
    errno.EINVAL: (
        "the options do not fit its format",
        "raw pictures need --input-option video_size=WxH and pixel_format",
    ),
}


def opening_error(
    given: FFmpegInput, name: str, problem: BaseException, timeout_s: float | None
) -> InputError:
    """Return the error for a source that `av.open` could not open with `timeout_s`."""
    if isinstance(problem, av.error.ExitError) and timeout_s is not None:
        return silence_error(name, timeout_s)
    reason, hint = _explained(given, problem)
    return InputError(f"{name}: {reason}", hint=hint)


def silence_error(name: str, timeout_s: float) -> InputError:
    """Return the error for a source that sends nothing."""
    return InputError(f"{name}: no data arrived for {timeout_s:g} s", hint=SENDER_HINT)


def _explained(given: FFmpegInput, problem: BaseException) -> Reason:
    unknown = f"cannot be opened ({error_text(problem)})", CHECK_HINT
    if isinstance(problem, ValueError) and "no container format" in str(problem):
        return f"PyAV has no input format {given.format}", PIPE_HINT
    number = getattr(problem, "errno", None) or 0
    if given.is_microphone:
        reason = "there is no such microphone, or another program uses it"
        return reason, f"{device_names(MICROPHONE)}; --audio none leaves the sound out"
    if given.format == capture_library():
        no_camera = "there is no such camera", device_names(CAMERA)
        return CAMERAS.get(number, no_camera)
    scheme = url_scheme(given.url)
    if isinstance(problem, av.error.ProtocolNotFoundError):
        return f"PyAV has no {scheme}", SRT_HINT if scheme == "srt" else PIPE_HINT
    if isinstance(problem, av.error.InvalidDataError):
        if given.url == "pipe:0":
            return "there are no data of a known format", "check whether the program before it failed"
        return "the data have no known format", "name the format of raw data with --format"
    if scheme in ("file", "pipe"):
        return FILES.get(number, unknown)
    return NETWORK.get(number, unknown)
