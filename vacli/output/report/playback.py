"""The player of a page: which recordings browsers play, and how a page refers to them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

MIME_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/mp4",
    ".webm": "video/webm",
    ".ogv": "video/ogg",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
    ".aac": "audio/aac",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".oga": "audio/ogg",
    ".opus": "audio/ogg",
    ".weba": "audio/webm",
}
VIDEO_CODECS = ("h264", "hevc", "vp8", "vp9", "av1", "theora")  # hevc in some browsers only


@dataclass(frozen=True)
class MediaFile:
    """A recording as the page needs it.

    kind: "audio" without pictures. video_codec: FFmpeg's name. size_px: of the upright picture. start_s: when
    the first stream starts on the clock of the table.
    """

    path: Path
    kind: Literal["video", "audio"]
    video_codec: str | None = None
    size_px: tuple[int, int] | None = None
    start_s: float = 0.0

    @property
    def mime_type(self) -> str:
        """The type by which a browser opens the file."""
        return MIME_TYPES.get(self.path.suffix.lower(), "application/octet-stream")


def unplayable_reason(media: MediaFile) -> str | None:
    """Why browsers do not play a file, in a sentence; None if they do."""
    suffix = media.path.suffix.lower()
    if suffix not in MIME_TYPES:
        return f"Browsers do not play {suffix or 'such'} files."
    if media.video_codec is not None and media.video_codec not in VIDEO_CODECS:
        return f"Browsers do not play the video codec {media.video_codec}."
    return None


def relative_url(path: Path, folder: Path) -> str:
    """The URL of a file for a page in `folder`: relative, absolute only on another drive of Windows.

    Bytes of names that are not UTF-8 are percent-encoded as they are.
    """
    try:
        relative = os.path.relpath(os.path.abspath(path), os.path.abspath(folder))
    except ValueError:
        return path.resolve().as_uri()
    return quote(os.fsencode(relative.replace(os.sep, "/")), safe="/")
