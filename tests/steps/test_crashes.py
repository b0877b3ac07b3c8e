"""Steps killed while writing leave complete files, and the next run finishes them."""

from __future__ import annotations

import os
import random
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from synth import crash_training
from synth.crashes import crash

from vacli.inference.run import load_run
from vacli.media.audio import read_sound
from vacli.store import Store

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
DEATHS = int(os.environ.get("VA_DEATHS", "5"))  # a step; more of them is a longer test
NEVER = 1 << 30


def dead(tmp_path: Path, prepare: str, job: str) -> tuple[Path, list[Path]]:
    """The folder in which `job` completed, and those in which it was killed."""
    template = tmp_path / "template"
    template.mkdir()
    getattr(crash_training, prepare)(template)

    def fresh(name: str) -> Path:
        return Path(shutil.copytree(template, tmp_path / name))

    function, whole = f"synth.crash_training:{job}", fresh("whole")
    (changes,) = crash(function, [whole], [NEVER])
    points = random.Random(7).sample(range(1, changes + 1), min(DEATHS, changes))
    folders = [fresh(str(point)) for point in points]
    assert crash(function, folders, points) == [None] * len(points)
    return whole, folders


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_an_export_is_the_old_one_or_the_new_one(tmp_path):
    whole, folders = dead(tmp_path, "prepare_bundle", "bundle_run")
    assert [len(load_run(f / "out" / "compact-audio").members) for f in (whole, folders[0])] in (
        [2, 1],
        [2, 2],
    )
    for folder in folders:
        if (folder / "out" / "compact-audio").exists():
            assert len(load_run(folder / "out" / "compact-audio").members) in (1, 2)
        else:  # between the two: the next export finishes it
            assert list((folder / "out" / ".work").iterdir())
        crash_training.bundle_run(folder)
        assert names(folder / "out" / "compact-audio") == names(whole / "out" / "compact-audio")
        assert len(load_run(folder / "out" / "compact-audio").members) == 2


def test_augmented_copies_are_complete(tmp_path):
    whole, folders = dead(tmp_path, "prepare_copies", "copies")
    for folder in folders:
        for path in (folder / "sounds").glob("*.wav") if (folder / "sounds").exists() else ():
            assert path.read_bytes() == (whole / "sounds" / path.name).read_bytes()
            assert read_sound(path) is not None
        crash_training.copies(folder)
        assert names(folder / "sounds") == names(whole / "sounds")
        stores = [Store.open(f / "v.zarr") for f in (folder, whole)]
        assert stores[0].video_ids() == stores[1].video_ids()
        for one, other in zip(*(store.videos() for store in stores), strict=True):
            np.testing.assert_array_equal(one.read("label/valence"), other.read("label/valence"))
