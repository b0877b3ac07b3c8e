"""The store that a run was trained on, found from its record."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vacli.errors import RunError
from vacli.files.object_path import is_url, to_path
from vacli.files.run_directory import DATA_FILE, STORE_FROM_RUN, read_json
from vacli.files.store_folder import is_store
from vacli.inference.run import Run
from vacli.store import Store

NAME_IT = "name it with --store"


def open_training_store(run: Run) -> Store:
    """Open the store beside the run, where it was at the training, else the one of the recorded path.

    Raises RunError if there is none, or if one of its validation videos has another source file.
    """
    data = read_json(run.members[0].path / DATA_FILE)
    path = _found(run, run.members[0].path, data)
    store = Store.open(path)
    for member in run.members:
        digests = read_json(member.path / DATA_FILE).get("sha256", {})
        _check_videos(run, store, {video: digests.get(video) for video in member.validation})
    return store


def _found(run: Run, folder: Path, data: Mapping[str, Any]) -> Path:
    named = data["store"]
    if is_url(named):
        return to_path(named)
    beside = data.get(STORE_FROM_RUN)
    places = [*([Path(os.path.normpath(folder / beside))] if beside else []), Path(named)]
    for place in places:
        if is_store(place):
            return place
    raise RunError(f"{run.path}: the store that it was trained on, {named}, is not here", hint=NAME_IT)


def _check_videos(run: Run, store: Store, digests: Mapping[str, str | None]) -> None:
    for video, digest in digests.items():
        if digest is None or video not in store:
            continue
        if store.video(video).source.get("sha256") not in (None, digest):
            raise RunError(
                f"{store.path} is not the store that {run.path} was trained on: {video} is another recording",
                hint=NAME_IT,
            )
