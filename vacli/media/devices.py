"""The cameras and microphones of this machine, by the capture library of its platform."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
from av.device import enumerate_input_devices

CAMERA: Literal["camera"] = "camera"
MICROPHONE: Literal["microphone"] = "microphone"
VIDEO4LINUX = Path("/sys/class/video4linux")
# PyAV's wheels contain a libasound that looks for its configuration where they were built.
ALSA_FOLDER, ALSA_VARIABLES = Path("/usr/share/alsa"), ("ALSA_CONFIG_DIR", "ALSA_CONFIG_PATH")
_IGNORED = ctypes.CFUNCTYPE(None, *[ctypes.c_char_p, ctypes.c_int] * 2, ctypes.c_char_p)(
    lambda *message: None
)


@dataclass(frozen=True)
class Device:
    """name: for SOURCE of a camera, for --audio of a microphone. description: for the user."""

    kind: Literal["camera", "microphone"]
    name: str
    description: str


def capture_library() -> str:
    """Return FFmpeg's name of the library that captures cameras on this platform."""
    return {"darwin": "avfoundation", "win32": "dshow"}.get(sys.platform, "v4l2")


def list_devices() -> list[Device]:
    """Return the cameras, then the microphones; none where the platform cannot list them."""
    library = capture_library()
    if library == "v4l2":
        return [*_linux_cameras(), *_microphones("alsa")]
    found = list(_listed(library))
    return sorted(found, key=lambda device: device.kind)


def device_names(kind: str) -> str:
    """Return the names and descriptions of the devices of a kind for a message."""
    found = [f"{one.name} ({one.description})" for one in list_devices() if one.kind == kind]
    return f"there are: {', '.join(found)}" if found else f"no {kind} was found"


def set_up_alsa() -> None:
    """Set the folder of the configuration of ALSA, without which PyAV opens no microphone.

    Its messages on stderr are left out: an error has one line.
    """
    if (ALSA_FOLDER / "alsa.conf").is_file() and not any(name in os.environ for name in ALSA_VARIABLES):
        os.environ[ALSA_VARIABLES[0]] = str(ALSA_FOLDER)
    with suppress(OSError, AttributeError):
        lines = Path("/proc/self/maps").read_text().splitlines()
        for path in {line.split()[-1] for line in lines if "libasound" in line}:
            ctypes.CDLL(path).snd_lib_error_set_handler(_IGNORED)


def _linux_cameras() -> Iterator[Device]:
    """The nodes that capture pictures, and those that this user may not open."""
    captures = {info.name for info in _enumerated("v4l2")}
    for node in sorted(VIDEO4LINUX.glob("video*"), key=lambda path: (len(path.name), path.name)):
        path = f"/dev/{node.name}"
        may_open = os.access(path, os.R_OK | os.W_OK)
        if may_open and path not in captures:
            continue  # a node for metadata or output
        try:
            description = (node / "name").read_text().strip()
        except OSError:
            description = node.name
        yield Device(CAMERA, path, description + ("" if may_open else ", no permission"))


def _microphones(library: str) -> Iterator[Device]:
    set_up_alsa()
    for info in _enumerated(library):
        if info.name != "null":  # silence
            description = " ".join(info.description.split())  # ALSA has two lines
            yield Device(MICROPHONE, info.name, description)


def _listed(library: str) -> Iterator[Device]:
    """The devices of AVFoundation, which have numbers, and of DirectShow, which are opened by description."""
    for info in _enumerated(library):
        name = info.description if library == "dshow" else info.name
        for media_type, kind in (("video", CAMERA), ("audio", MICROPHONE)):
            if media_type in info.media_types:
                yield Device(kind, name, info.description)


def _enumerated(library: str) -> list[av.device.DeviceInfo]:
    try:
        return list(enumerate_input_devices(library))
    except (av.FFmpegError, ValueError, OSError):
        return []  # PyAV was built without this library, or it lists nothing
