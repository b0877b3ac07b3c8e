"""What one file or folder is: a video, sound, a picture, a folder of crops. Content decides."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vacli.errors import InputError
from vacli.media.container import opened, picture_stream, sound_stream
from vacli.media.crops import IMAGE_SUFFIXES
from vacli.media.image import is_picture, is_played
from vacli.media.signature import head_of, is_other, is_text, picture_format

Kind = Literal["video", "sound", "image", "crops"]

VIDEO_SUFFIXES = frozenset(
    (
        *(".264", ".265", ".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".h264", ".h265"),
        *(".hevc", ".ivf", ".m1v", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4"),
        *(".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogm", ".ogv", ".qt", ".rm", ".rmvb", ".ts"),
        *(".vob", ".webm", ".wmv", ".wtv", ".y4m"),
    )
)
SOUND_SUFFIXES = frozenset(
    (
        *(".aac", ".ac3", ".aif", ".aifc", ".aiff", ".amr", ".ape", ".au", ".caf", ".eac3", ".flac", ".m4a"),
        *(".m4b", ".m4r", ".mka", ".mp2", ".mp3", ".mpa", ".oga", ".ogg", ".opus", ".snd", ".spx", ".tta"),
        *(".w64", ".wav", ".weba", ".wma", ".wv"),
    )
)
KIND_OF_SUFFIX: dict[str, Kind] = (
    dict.fromkeys(VIDEO_SUFFIXES, "video")
    | dict.fromkeys(SOUND_SUFFIXES, "sound")
    | dict.fromkeys(IMAGE_SUFFIXES, "image")
)
TYPESCRIPT = frozenset((".ts", ".mts"))  # source texts by these names are no broken videos
MOTION_JPEG = frozenset((".mjpeg", ".mjpg"))  # begins like a single picture
PICTURE_DEMUXERS = ("_pipe", "image2", "ico")  # by which FFmpeg makes a film of a single picture
NOT_MEDIA = "not media"


@dataclass(frozen=True, order=True)
class MediaInput:
    """One thing to work on: a file, or a folder of crops. animated: a video that is also a picture file."""

    path: Path
    kind: Kind
    animated: bool = False

    @property
    def name(self) -> str:
        """What it is called: the file's name without its suffix, or the folder's name (dots and all)."""
        return self.path.name if self.kind == "crops" else self.path.stem


def settled(media: MediaInput) -> MediaInput:
    """A file as what its streams are: sound alone in a video container is sound.

    Raises InputError where there is nothing to see or to hear.
    """
    return media if media.kind in ("image", "crops") or media.animated else looked_into(media.path)


def kind_of_suffix(path: Path) -> Kind | None:
    return KIND_OF_SUFFIX.get(path.suffix.lower())


def recognised(path: Path) -> MediaInput | str:
    """A file by its first bytes and its suffix, or why it is none of ours. Raises InputError."""
    kind, suffix = kind_of_suffix(path), path.suffix.lower()
    try:
        head = head_of(path)
    except OSError as problem:
        raise InputError(f"{path}: cannot be read ({problem.strerror})") from None
    picture = picture_format(head) if suffix not in MOTION_JPEG else None
    if picture:
        animated = is_played(path, picture)
        return MediaInput(path, "video" if animated else "image", animated)
    if kind and not head:
        return MediaInput(path, kind)
    if kind in ("video", "sound") and not (suffix in TYPESCRIPT and is_text(head)):
        return MediaInput(path, kind)
    if not head or is_text(head) or is_other(head):
        return MediaInput(path, "image") if kind == "image" else NOT_MEDIA
    try:
        return looked_into(path)
    except InputError:
        return MediaInput(path, "image") if kind == "image" else NOT_MEDIA


def looked_into(path: Path) -> MediaInput:
    """A file as what FFmpeg sees in it. Raises InputError where that is nothing."""
    with opened(path) as container:
        name = container.format.name
        if name.endswith(PICTURE_DEMUXERS):
            if is_picture(path):
                return MediaInput(path, "image")
        elif name != "tty":  # that shows any text as a film
            if picture_stream(container):
                return MediaInput(path, "video")
            if sound_stream(container):
                return MediaInput(path, "sound")
    raise InputError(f"{path}: cannot be read as audio or video (it holds neither)")


def is_folder(path: Path) -> bool:
    """Raises InputError where there is neither a folder nor a file."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as problem:
        raise InputError(f"{path}: {_why_not_there(path, problem)}") from None
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise InputError(f"{path}: is neither a file nor a folder")
    return stat.S_ISDIR(mode)


def _why_not_there(path: Path, problem: OSError | ValueError) -> str:
    if isinstance(problem, OSError) and problem.errno == errno.ELOOP:
        return "is a link that leads back to itself"
    if isinstance(problem, FileNotFoundError):
        linked = os.path.islink(path)
        return f"is a link to {os.readlink(path)}, which is not there" if linked else "no such file or folder"
    return f"cannot be read ({getattr(problem, 'strerror', None) or problem})"
