"""Creating an empty store in one step."""

from __future__ import annotations

import os
from pathlib import Path

from vacli.files.store_folder import METADATA_FILE
from vacli.store import commit, schema
from vacli.store.work import WorkFolder

NEW = "new"  # the new part or store, in a work folder


def create_store(path: Path) -> None:
    """Create an empty store in one step; another process may create it at the same time."""
    exists = path.exists()
    if not exists:
        path.parent.mkdir(parents=True, exist_ok=True)
    work = WorkFolder.inside(path) if exists else WorkFolder.beside(path)
    with work.place() as place:
        schema.create_group(place / NEW, schema.root_attributes())
        if exists:
            _link_new(place / NEW / METADATA_FILE, path / METADATA_FILE)
        else:
            _rename_new(place / NEW, path)


def _rename_new(made: Path, path: Path) -> None:
    """Rename a folder unless another process has created `path` first."""
    try:
        made.rename(path)
    except OSError as error:
        if error.errno not in commit.NAME_TAKEN_ERRNOS:
            raise


def _link_new(made: Path, path: Path) -> None:
    """Name a file unless another process has created `path` first, whose file may be locked already."""
    try:
        os.link(made, path)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        made.replace(path)
