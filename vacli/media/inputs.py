"""From the paths that a user names to the media that they mean."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vacli.errors import InputError
from vacli.media.crops import IMAGE_SUFFIXES, is_crop_folder
from vacli.media.probe import probe

Kind = Literal["video", "sound", "image", "crops"]

VIDEO_SUFFIXES = frozenset(
    [
        ".3gp",
        ".asf",
        ".avi",
        ".divx",
        ".f4v",
        ".flv",
        ".m2ts",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".mxf",
        ".ogv",
        ".ts",
        ".vob",
        ".webm",
        ".wmv",
    ]
)
SOUND_SUFFIXES = frozenset(
    [
        ".aac",
        ".ac3",
        ".aif",
        ".aiff",
        ".amr",
        ".au",
        ".caf",
        ".flac",
        ".m4a",
        ".mka",
        ".mp2",
        ".mp3",
        ".oga",
        ".ogg",
        ".opus",
        ".wav",
        ".wma",
    ]
)
KIND_OF_SUFFIX: dict[str, Kind] = (
    dict.fromkeys(VIDEO_SUFFIXES, "video")
    | dict.fromkeys(SOUND_SUFFIXES, "sound")
    | dict.fromkeys(IMAGE_SUFFIXES, "image")
)
STORE_SUFFIX = ".zarr"  # full of folders, none of them media


@dataclass(frozen=True, order=True)
class MediaInput:
    """One thing to work on: a file, or a folder of crops."""

    path: Path
    kind: Kind

    @property
    def name(self) -> str:
        """What it is called: the file's name without its suffix, or the folder's name (dots and all)."""
        return self.path.name if self.kind == "crops" else self.path.stem


def find_media(paths: Iterable[Path]) -> list[MediaInput]:
    """Files as named; folders with everything below them, hidden names left out.

    A file is taken for what its suffix says, and one with a suffix that is not known for what it holds.
    Returns: sorted by path, each thing once even if several paths lead to it.
    Raises InputError for a path that does not exist, a folder with nothing usable, or a named file that
    is no media. Whether the others can be decoded is found out when they are read.
    """
    found: dict[Path, MediaInput] = {}
    for path in map(Path, paths):
        for media in _below(path) if path.is_dir() else [_named_file(path)]:
            found.setdefault(media.path.resolve(), media)
    return sorted(found.values())


def pictures_of(media: MediaInput) -> list[MediaInput]:
    """The pictures that a folder of crops holds, each for itself; anything else is what it is."""
    if media.kind != "crops":
        return [media]
    files = sorted(path for path in media.path.iterdir() if not path.name.startswith("."))
    return [MediaInput(path, "image") for path in files if KIND_OF_SUFFIX.get(path.suffix.lower()) == "image"]


def _named_file(path: Path) -> MediaInput:
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    kind = KIND_OF_SUFFIX.get(path.suffix.lower())
    if kind is None:
        kind = "video" if probe(path).video else "sound"
    return MediaInput(path, kind)


def _below(folder: Path) -> list[MediaInput]:
    found = list(_walk(folder, set()))
    if not found:
        hint = "a folder may hold videos, sound files, pictures and folders of crops, at any depth"
        raise InputError(f"{folder}: holds nothing that could be read", hint=hint)
    return found


def _walk(folder: Path, seen: set[Path]) -> Iterator[MediaInput]:
    """Media in a folder and below; `seen` keeps links that lead back from being followed for ever."""
    if folder.resolve() in seen:
        return
    seen.add(folder.resolve())
    try:
        crops = is_crop_folder(folder)
        names = sorted(os.listdir(folder))
    except OSError as problem:
        raise InputError(f"{folder}: cannot be listed ({problem.strerror})") from None
    if crops:
        yield MediaInput(folder, "crops")
    for name in names:
        path = folder / name
        kind = KIND_OF_SUFFIX.get(path.suffix.lower())
        if name.startswith(".") or path.suffix == STORE_SUFFIX or (crops and kind == "image"):
            continue
        if path.is_dir():
            yield from _walk(path, seen)
        elif kind:
            yield MediaInput(path, kind)
