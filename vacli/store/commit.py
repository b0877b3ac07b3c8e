"""Atomic changes of several parts of a store, by means of a redo log.

The new parts are complete in a work folder before the list of changes is written there. If the process ends
after that, the next process that opens the store makes the changes; before that, the store is unchanged.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from vacli.files.object_path import ObjectPath
from vacli.files.store_folder import METADATA_FILE

JOURNAL = "changes.json"
MAX_TRIES = 100  # on file systems without locks, where other processes may change the same part
Revision = tuple[int, int] | tuple[float, str]
NAME_TAKEN_ERRNOS = {errno.EEXIST, errno.ENOTEMPTY}  # another process has created a folder of that name


@dataclass(frozen=True)
class Change:
    """Replace `target`, a folder of the store ("clip/face"), by `new`, a folder of the work folder.

    new: None removes `target`. before: the revision of `target` before the change, None if it did not exist.
    """

    target: str
    new: str | None = None
    before: Revision | None = None


def revision(folder: Path | str) -> Revision | None:
    """Inode and modification time (ns) of a part's metadata, which each write changes; None if absent.

    In an object store: time and tag.
    """
    if isinstance(folder, ObjectPath):
        facts = (folder / METADATA_FILE).facts()
        return None if facts is None else (facts.changed_s, facts.tag)
    try:
        about = os.stat(f"{folder}/{METADATA_FILE}")
    except OSError:
        return None
    return about.st_ino, about.st_mtime_ns


def apply_changes(store: Path, place: Path, targets: Sequence[tuple[str, str | None]]) -> None:
    """Replace (target, new) pairs, all or none. The caller holds the lock of the store. Raises OSError."""
    changes = [Change(target, new, revision(store / target)) for target, new in targets]
    draft = place / f"{JOURNAL}.part"
    draft.write_text(json.dumps([asdict(change) for change in changes]), encoding="utf-8")
    draft.rename(place / JOURNAL)
    begun: list[tuple[Change, Path]] = []
    try:
        for change in changes:
            begun.append((change, place / f"aside-{len(begun)}"))
            _replace(store, place, *begun[-1])
    except OSError:
        for change, aside in reversed(begun):
            _undo(store, place, change, aside)
        raise
    finally:
        (place / JOURNAL).unlink()


def replay_changes(store: Path, place: Path) -> None:
    """Make the changes that a dead process had listed but not made."""
    try:
        listed = json.loads((place / JOURNAL).read_text(encoding="utf-8"))
        changes = [Change(c["target"], c["new"], c["before"] and tuple(c["before"])) for c in listed]
    except (OSError, ValueError, TypeError, KeyError):
        return
    for number, change in enumerate(changes):
        now = revision(store / change.target)
        waits = change.new is None or (place / change.new).is_dir()
        if waits and now in (None, change.before):  # not done yet, and not replaced by another process since
            _replace(store, place, change, place / f"late-{number}")


def _replace(store: Path, place: Path, change: Change, aside: Path) -> None:
    target = store / change.target
    for _ in range(MAX_TRIES):
        _move_away(target, aside)
        if change.new is None:
            return
        try:
            (place / change.new).rename(target)
            return
        except OSError as error:
            if error.errno not in NAME_TAKEN_ERRNOS:
                raise
    raise OSError(errno.EBUSY, "other processes keep replacing it", str(target))


def _move_away(target: Path, aside: Path) -> None:
    if aside.exists():  # keep the first one, which may have to be restored
        aside = aside.with_name(f"{aside.name}-{len(os.listdir(aside.parent))}")
    try:
        target.rename(aside)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copytree(target, aside)  # overlayfs does not rename folders of its lower layers
        shutil.rmtree(target)


def _undo(store: Path, place: Path, change: Change, aside: Path) -> None:
    target = store / change.target
    with suppress(OSError):
        if change.new is not None and not (place / change.new).exists():
            target.rename(place / change.new)
        if aside.exists():
            aside.rename(target)
