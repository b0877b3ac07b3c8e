"""Changes of a store that happen together, as a redo log.

What is new lies whole in a work folder before its list of changes is written; from then on the changes are
made, if not by this process then by the next that opens the store. Before, the store is as it was.
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

from vacli.files.store_folder import METADATA_FILE

JOURNAL = "changes.json"
TRIES = 100  # where file systems have no locks and others change the same
TAKEN = {errno.EEXIST, errno.ENOTEMPTY}  # a folder of that name has come meanwhile


@dataclass(frozen=True)
class Change:
    """`target`, a folder of the store ("clip/face"), becomes `new`, one of the work folder; None: it goes.

    before: the stamp of what `target` is to replace, None where there was nothing.
    """

    target: str
    new: str | None = None
    before: tuple[int, int] | None = None


def stamp(folder: Path | str) -> tuple[int, int] | None:
    """What tells one edition of a part from the next; None where there is none."""
    try:
        about = os.stat(f"{folder}/{METADATA_FILE}")
    except OSError:
        return None
    return about.st_ino, about.st_mtime_ns


def make(store: Path, place: Path, targets: Sequence[tuple[str, str | None]]) -> None:
    """Change (target, new) pairs, all or none; OSError where that cannot be done. Needs the store's lock."""
    changes = [Change(target, new, stamp(store / target)) for target, new in targets]
    draft = place / f"{JOURNAL}.part"
    draft.write_text(json.dumps([asdict(change) for change in changes]), encoding="utf-8")
    draft.rename(place / JOURNAL)
    begun: list[tuple[Change, Path]] = []
    try:
        for change in changes:
            begun.append((change, place / f"aside-{len(begun)}"))
            _apply(store, place, *begun[-1])
    except OSError:
        for change, aside in reversed(begun):
            _undo(store, place, change, aside)
        raise
    finally:
        (place / JOURNAL).unlink()


def complete(store: Path, place: Path) -> None:
    """Make what a dead process had still to change; nothing where it had not come so far."""
    try:
        listed = json.loads((place / JOURNAL).read_text(encoding="utf-8"))
        changes = [Change(c["target"], c["new"], c["before"] and tuple(c["before"])) for c in listed]
    except (OSError, ValueError, TypeError, KeyError):
        return
    for number, change in enumerate(changes):
        now = stamp(store / change.target)
        waits = change.new is None or (place / change.new).is_dir()
        if waits and now in (None, change.before):  # not yet done, and nobody else's is there
            _apply(store, place, change, place / f"late-{number}")


def _apply(store: Path, place: Path, change: Change, aside: Path) -> None:
    target = store / change.target
    for _ in range(TRIES):
        _move_away(target, aside)
        if change.new is None:
            return
        try:
            (place / change.new).rename(target)
            return
        except OSError as error:
            if error.errno not in TAKEN:
                raise
    raise OSError(errno.EBUSY, "others are writing it", str(target))


def _move_away(target: Path, aside: Path) -> None:
    if aside.exists():  # what came meanwhile is not what may have to be put back
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
