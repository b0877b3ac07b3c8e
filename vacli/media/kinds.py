"""The kind of a file or folder, by its content: a video, sound, an image, a folder of crops."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vacli.errors import InputError
from vacli.media.container import audio_stream, open_container, video_stream
from vacli.media.crops import IMAGE_SUFFIXES
from vacli.media.image import is_animation, is_image_file
from vacli.media.signature import image_format, is_other_format, is_text, read_head

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
SUFFIXES_OF_KIND: tuple[tuple[Kind, frozenset[str]], ...] = (
    ("video", VIDEO_SUFFIXES),
    ("sound", SOUND_SUFFIXES),
    ("image", IMAGE_SUFFIXES),
)
KIND_OF_SUFFIX = {suffix: kind for kind, suffixes in SUFFIXES_OF_KIND for suffix in suffixes}
TYPESCRIPT = frozenset((".ts", ".mts"))  # also suffixes of source texts
MOTION_JPEG = frozenset((".mjpeg", ".mjpg"))  # has the first bytes of a JPEG image
IMAGE_DEMUXERS = ("_pipe", "image2", "ico")  # with these FFmpeg reads an image as a video of one frame
NOT_MEDIA = "not media"


@dataclass(frozen=True, order=True, slots=True)
class MediaInput:
    """One input: a file, or a folder of crops. animated: the video is an animated image."""

    path: Path
    kind: Kind
    animated: bool = False

    @property
    def name(self) -> str:
        """Return the file's name without its suffix, or the whole name of the folder."""
        return self.path.name if self.kind == "crops" else self.path.stem


def resolve_kind(media: MediaInput) -> MediaInput:
    """Return a file with the kind of its streams: a video container with audio only is sound.

    Raises InputError if the file has neither video nor audio.
    """
    return media if media.kind in ("image", "crops") or media.animated else identify_by_streams(media.path)


def kind_of_suffix(path: Path) -> Kind | None:
    """Return the kind that the suffix of a file stands for, None if it is unknown."""
    return KIND_OF_SUFFIX.get(path.suffix.lower())


def identify(path: Path) -> MediaInput | str:
    """Return the kind of a file from its first bytes and suffix, or why it is not used. Raises InputError."""
    kind, suffix = kind_of_suffix(path), path.suffix.lower()
    try:
        head = read_head(path)
    except OSError as problem:
        raise InputError(f"{path}: cannot be read ({problem.strerror})") from None
    picture = image_format(head) if suffix not in MOTION_JPEG else None
    if picture:
        animated = is_animation(path, picture)
        return MediaInput(path, "video" if animated else "image", animated)
    if kind and not head:
        return MediaInput(path, kind)
    if kind in ("video", "sound") and not (suffix in TYPESCRIPT and is_text(head)):
        return MediaInput(path, kind)
    if not head or is_text(head) or is_other_format(head):
        return MediaInput(path, "image") if kind == "image" else NOT_MEDIA
    try:
        return identify_by_streams(path)
    except InputError:
        return MediaInput(path, "image") if kind == "image" else NOT_MEDIA


def identify_by_streams(path: Path) -> MediaInput:
    """Return the kind of a file from its streams. Raises InputError if it has neither video nor audio."""
    with open_container(path) as container:
        name = container.format.name
        if name.endswith(IMAGE_DEMUXERS):
            if is_image_file(path):
                return MediaInput(path, "image")
        elif name != "tty":  # which reads any text as a video
            if video_stream(container):
                return MediaInput(path, "video")
            if audio_stream(container):
                return MediaInput(path, "sound")
    raise InputError(f"{path}: cannot be read as audio or video (it has neither)")


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder. Raises InputError if it is neither a folder nor a file."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as problem:
        raise InputError(f"{path}: {_missing_reason(path, problem)}") from None
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise InputError(f"{path}: is neither a file nor a folder")
    return stat.S_ISDIR(mode)


def _missing_reason(path: Path, problem: OSError | ValueError) -> str:
    if isinstance(problem, OSError) and problem.errno == errno.ELOOP:
        return "is a link that leads back to itself"
    if isinstance(problem, FileNotFoundError):
        linked = path.is_symlink()
        return (
            f"is a link to {os.readlink(path)}, which does not exist" if linked else "no such file or folder"
        )
    return f"cannot be read ({getattr(problem, 'strerror', None) or problem})"
