"""From the paths that a user names to the media that they mean."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from vacli.errors import InputError
from vacli.media.crops import is_crop_folder
from vacli.media.kinds import MediaInput, is_folder, kind_of_suffix, looked_into, recognised

STORE_SUFFIX, STORE_FILE = ".zarr", "zarr.json"  # full of folders, none of them media


@dataclass
class Found:
    """What some paths lead to.

    media: sorted by path, each thing once. left_out: files in folders that are no media -> why.
    failed: paths that ought to be media, or to hold some, and cannot be looked at -> why.
    """

    media: list[MediaInput] = field(default_factory=list)
    left_out: dict[Path, str] = field(default_factory=dict)
    failed: dict[Path, InputError] = field(default_factory=dict)


def find_media(paths: Iterable[Path]) -> Found:
    """Files as named; folders with everything below them, hidden names and stores left out.

    A picture is known by its first bytes. Another file is taken for what its suffix says until `settled`
    looks into it; one with a suffix that is not known is looked into at once.
    Raises InputError for a path that does not exist, a folder with nothing usable, or a named file that
    is no media. Whether the others can be decoded is found out when they are read.
    """
    found = Found()
    for path in map(Path, paths):
        if is_folder(path):
            below = _below(path)
            if not below.media and not below.failed:
                hint = "a folder may hold videos, sound files, pictures and folders of crops, at any depth"
                raise InputError(f"{path}: holds nothing that could be read", hint=hint)
            found.media += below.media
            found.left_out |= below.left_out
            found.failed |= below.failed
        else:
            media = recognised(path)
            found.media.append(media if isinstance(media, MediaInput) else looked_into(path))
    found.media = _each_once(found.media)
    return found


def pictures_of(media: MediaInput) -> list[MediaInput]:
    """The single pictures of a folder of crops, or the first one of an animation; anything
    else is what it is."""
    if media.animated:
        return [MediaInput(media.path, "image")]
    if media.kind != "crops":
        return [media]
    files = sorted(path for path in media.path.iterdir() if not path.name.startswith("."))
    return [MediaInput(path, "image") for path in files if kind_of_suffix(path) == "image"]


def _each_once(media: Iterable[MediaInput]) -> list[MediaInput]:
    """By path; of several paths that lead to one thing the first counts."""
    once: dict[str, MediaInput] = {}
    for one in media:
        once.setdefault(os.path.realpath(one.path), one)
    return sorted(once.values())


def _below(folder: Path) -> Found:
    """What a folder and those below it hold; links that lead back are not followed for ever."""
    found, seen, waiting = Found(), set(), [folder]
    while waiting:
        here = waiting.pop()
        if (real := os.path.realpath(here)) in seen:
            continue
        seen.add(real)
        try:
            crops = is_crop_folder(here)
            names = sorted(os.listdir(here))
        except OSError as problem:
            found.failed[here] = InputError(f"{here}: cannot be listed ({problem.strerror})")
            continue
        if STORE_FILE in names:
            continue
        if crops:
            found.media.append(MediaInput(here, "crops"))
            names = [name for name in names if kind_of_suffix(here / name) != "image"]
        waiting += [path for name in names if _is_open(name) and not _is_taken(path := here / name, found)]
    found.media = _each_once(found.media)
    return found


def _is_open(name: str) -> bool:
    return not name.startswith(".") and not name.endswith(STORE_SUFFIX)


def _is_taken(path: Path, found: Found) -> bool:
    """Note a file among what was found; False for a folder."""
    try:
        if is_folder(path):
            return False
        media = recognised(path)
    except InputError as problem:
        found.failed[path] = problem
    else:
        if isinstance(media, MediaInput):
            found.media.append(media)
        else:
            found.left_out[path] = media
    return True
