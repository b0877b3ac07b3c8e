"""A training that dies and is gone on with, as its message says, ends where an undisturbed one does."""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from pathlib import Path

import pytest
from synth import crash_training
from synth.crashes import crash

from vacli.files.digests import check_file

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
DEATHS = int(os.environ.get("VA_DEATHS", "3"))  # a training; more of them is a longer test
NEVER = 1 << 30
TIMES = {"seconds", "train_s", "validate_s", "peak_bytes"}


def metrics(folder: Path) -> list[dict[str, float]]:
    lines = (folder / "run" / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in TIMES} for line in lines]


def assert_same(one: Path, other: Path) -> None:
    assert metrics(one) == metrics(other)
    for name in ("weights.safetensors", "last.safetensors"):
        assert (one / "run" / name).read_bytes() == (other / "run" / name).read_bytes()
    check_file(one / "run" / "weights.safetensors")
    names = sorted(p.name for p in (one / "run").iterdir() if "tfevents" not in p.name)
    assert names == sorted(p.name for p in (other / "run").iterdir() if "tfevents" not in p.name)


@pytest.mark.parametrize("job", ["frames", "sequences"])
def test_killed_training_resumes_bit_by_bit(tmp_path, job):
    whole = tmp_path / "0"
    whole.mkdir()
    getattr(crash_training, f"prepare_{job}")(whole)

    def fresh(point: int) -> Path:
        folder = tmp_path / str(point)
        shutil.copytree(whole, folder, ignore=shutil.ignore_patterns("run"))
        return folder

    (changes,) = crash(f"synth.crash_training:{job}", [whole], [NEVER])
    assert changes is not None
    points = random.Random(5).sample(range(1, changes + 1), min(DEATHS, changes))
    folders = [fresh(point) for point in points]
    assert crash(f"synth.crash_training:{job}", folders, points) == [None] * len(points)
    assert None not in crash(f"synth.crash_training:{job}", folders, [NEVER] * len(folders))
    for folder in folders:
        assert_same(folder, whole)
