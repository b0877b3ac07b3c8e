"""Search of the paths given by a user for media."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from vacli.errors import InputError
from vacli.files import store_folder
from vacli.files.object_path import real_path, to_path
from vacli.files.text_encoding import SAVE_AS_CSV, is_spreadsheet
from vacli.media.crops import is_crop_folder
from vacli.media.kinds import MediaInput, identify, identify_by_streams, is_folder, kind_of_suffix
from vacli.media.signature import is_text, read_head


@dataclass
class FoundMedia:
    """The result of a search.

    media: sorted by path, without duplicates. skipped: files in folders that are not media -> reason.
    failed: paths that cannot be read -> error.
    """

    media: list[MediaInput] = field(default_factory=list)
    skipped: dict[Path, str] = field(default_factory=dict)
    failed: dict[Path, InputError] = field(default_factory=dict)


def find_media(paths: Iterable[Path]) -> FoundMedia:
    """Find the media among files and below folders; hidden names and stores are skipped.

    An image is identified by its first bytes. Other files have the kind of their suffix until `resolve_kind`
    opens them; those with an unknown suffix are opened at once.
    Raises InputError for a path that does not exist, a folder without media, or a given file that is not
    media. Decoding errors occur when the files are read.
    """
    found = FoundMedia()
    for path in map(to_path, paths):
        if is_folder(path):
            below = _walk(path)
            if not below.media and not below.failed:
                hint = "a folder may have videos, sound files, images and folders of crops, at any depth"
                raise InputError(f"{path}: has no media files", hint=hint)
            found.media += below.media
            found.skipped |= below.skipped
            found.failed |= below.failed
        else:
            media = identify(path)
            if not isinstance(media, MediaInput):
                _check_no_text(path)
                media = identify_by_streams(path)
            found.media.append(media)
    found.media = _without_duplicates(found.media)
    return found


def _check_no_text(path: Path) -> None:
    """Raise InputError for a spreadsheet and a text file, with a hint for a list of paths and for a table."""
    head = read_head(path)
    if is_spreadsheet(head):
        raise InputError(
            f"{path}: is a spreadsheet, Parquet or an archive, not a recording", hint=SAVE_AS_CSV
        )
    if is_text(head):
        raise InputError(
            f"{path}: is a text file, not a recording",
            hint="if it lists paths, pipe it into the command and give `-` as input; "
            "tables of `va predict` (CSV, TSV, JSON lines) are inputs of `va convert`, `info`, `report`, "
            "`plot`, `overlay` and `summarize`",
        )


def images_of(media: MediaInput) -> list[MediaInput]:
    """Return the images of a folder of crops, or an animation as an image; other inputs as they are."""
    if media.animated:
        return [MediaInput(media.path, "image")]
    if media.kind != "crops":
        return [media]
    files = sorted(path for path in media.path.iterdir() if not path.name.startswith("."))
    return [MediaInput(path, "image") for path in files if kind_of_suffix(path) == "image"]


def _without_duplicates(media: Iterable[MediaInput]) -> list[MediaInput]:
    """Sort by path; of several paths to one file the first one is kept."""
    once: dict[str, MediaInput] = {}
    for one in media:
        once.setdefault(real_path(one.path), one)
    return sorted(once.values())


def _walk(folder: Path) -> FoundMedia:
    """Find the media below a folder; each folder is visited once, also if links lead back to it."""
    found, waiting = FoundMedia(), [folder]
    visited: set[str] = set()
    while waiting:
        here = waiting.pop()
        if (real := real_path(here)) in visited:
            continue
        visited.add(real)
        try:
            crops = is_crop_folder(here)
            names = sorted(path.name for path in here.iterdir())
        except OSError as problem:
            found.failed[here] = InputError(f"{here}: cannot be listed ({problem.strerror})")
            continue
        if store_folder.METADATA_FILE in names:
            continue
        if crops:
            found.media.append(MediaInput(here, "crops"))
            names = [name for name in names if kind_of_suffix(here / name) != "image"]
        waiting += [
            path for name in names if _is_searched(name) and not _add_file(path := here / name, found)
        ]
    found.media = _without_duplicates(found.media)
    return found


def _is_searched(name: str) -> bool:
    return not name.startswith(".") and not name.endswith(store_folder.SUFFIX)


def _add_file(path: Path, found: FoundMedia) -> bool:
    """Add a file to the result; return False for a folder."""
    try:
        if is_folder(path):
            return False
        media = identify(path)
    except InputError as problem:
        found.failed[path] = problem
    else:
        if isinstance(media, MediaInput):
            found.media.append(media)
        else:
            found.skipped[path] = media
    return True
