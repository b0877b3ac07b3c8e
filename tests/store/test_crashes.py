"""A process that dies while it writes leaves the old or the new, never neither and never a mixture."""

from __future__ import annotations

import os
import random
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from synth.crash_jobs import AUDIO, VISUAL, empty_store, first_edition, new_faces, new_feature
from synth.crashes import crash

from vacli.store import Store, VideoView

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
DEATHS = int(os.environ.get("VA_DEATHS", "8"))  # a job; more of them is a longer test


def dead_stores(tmp_path: Path, job: str, template: Path | None) -> list[Path]:
    """Folders in which `job` died at as many of its changes, spread by a seed."""

    def fresh(number: int) -> Path:
        folder = tmp_path / str(number)
        if template is None:
            folder.mkdir()
        else:
            shutil.copytree(template, folder)
        return folder

    (changes,) = crash(f"synth.crash_jobs:{job}", [fresh(0)], [1 << 30])
    assert changes is not None
    points = random.Random(18).sample(range(1, changes + 1), min(DEATHS, changes))
    folders = [fresh(point) for point in points]
    assert crash(f"synth.crash_jobs:{job}", folders, points) == [None] * len(points)
    return folders


def values(view: VideoView, name: str) -> set[float]:
    rows, flags = view.feature(name)
    return {*np.unique(rows).tolist(), *(np.unique(flags) / 2).tolist()}


def assert_tidy(store: Store) -> None:
    """Nothing is left, or a lock of somebody who died before telling who it was: it goes when it is old."""
    left = {path.name for path in store.path.glob(".work/*/*")}
    assert left <= {"owner"}


@pytest.fixture
def template(tmp_path: Path) -> Path:
    folder = tmp_path / "template"
    folder.mkdir()
    first_edition(folder)
    return folder


def test_new_faces_remove_the_features_of_the_old_ones(tmp_path, template):
    seen = set()
    for folder in dead_stores(tmp_path, "new_faces", template):
        store = Store.open(folder / "s.zarr")
        view = store.video("clip")
        (edition,) = np.unique(view.read("face/box"))
        assert set(next(view.crop_bytes([3]))) == {edition} == {view.part_attrs("face")["settings"]}
        assert view.has(f"feature/{VISUAL}") == view.has(f"flag/{VISUAL}") == (edition == 1)
        assert values(view, AUDIO) == {1}
        assert_tidy(store)
        seen.add(edition)
        new_faces(folder)
        assert np.unique(store.video("clip").read("face/box")) == [2]
    assert seen == {1, 2}


def test_a_feature_and_its_flags_change_together(tmp_path, template):
    for folder in dead_stores(tmp_path, "new_feature", template):
        store = Store.open(folder / "s.zarr")
        assert values(store.video("clip"), AUDIO) in ({1}, {2})
        assert values(store.video("clip"), VISUAL) == {1}
        assert_tidy(store)
        new_feature(folder)
        assert values(store.video("clip"), AUDIO) == {2}


def test_an_interrupted_first_write_is_completed_by_the_next_run(tmp_path):
    for folder in dead_stores(tmp_path, "first_edition", None):
        first_edition(folder)
        store = Store.open(folder / "s.zarr")
        assert values(store.video("clip"), VISUAL) == {1}
        assert_tidy(store)


def test_a_new_store_appears_whole_or_not_at_all(tmp_path):
    (changes,) = crash("synth.crash_jobs:empty_store", [tmp_path / "whole"], [1 << 30])
    points = range(1, changes + 1)
    folders = [tmp_path / str(point) for point in points]
    assert crash("synth.crash_jobs:empty_store", folders, points) == [None] * changes
    for folder in folders:
        path = folder / "s.zarr"
        if path.exists():
            assert Store.open(path).video_ids() == []
        empty_store(folder)
        assert os.listdir(path) == ["zarr.json"]
        assert os.listdir(folder) in (["s.zarr"], [".s.zarr.work", "s.zarr"], ["s.zarr", ".s.zarr.work"])
        assert {path.name for path in folder.glob(".s.zarr.work/*/*")} <= {"owner"}
