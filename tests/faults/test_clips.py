"""Damaged recordings and pictures: refused by name, said to be damaged, or read as before."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from faults import media, mutators, oracle
from faults.lab import Lab

pytestmark = pytest.mark.faults
NEIGHBOUR = {"predict": "good.wav", "predict --images": "good.png"}
REAL = ("22_derived_no_audio_track.mp4", "23_derived_vp9_opus_15fps.webm", "25_derived_vfr_grid.mkv")


@dataclass(frozen=True)
class Whole:
    """An undamaged input and the command that is tried on it."""

    path: Path
    command: str


def make_inputs(lab: Lab) -> list[Path]:
    """The undamaged inputs, made once a session."""
    folder = lab.folder("media")
    made = media.write_all(folder)
    media.write_neighbours(lab.folder("neighbours"))
    return made


def run(lab: Lab, command: str, name: str, content: bytes) -> tuple[oracle.Made, Path]:
    """`va COMMAND` on a file of that content, beside a small undamaged one."""
    folder = lab.folder("case")
    (folder / name).write_bytes(content)
    neighbour = NEIGHBOUR.get(command, "good.mp4")
    shutil.copyfile(lab.scratch / "neighbours" / neighbour, folder / neighbour)
    arguments = [*command.split(), name, neighbour]
    if command.startswith("predict"):
        return oracle.rows_of(lab.run(arguments, folder)), folder / name
    outcome = lab.run([*arguments, "-o", "s.zarr"], folder)
    return oracle.entries_of(outcome, folder / "s.zarr"), folder / name


def choose(paths: list[Path], case: int, rng: np.random.Generator) -> Whole:
    """Inputs in turn; mostly `predict`, else a step that writes a store."""
    path = paths[case % len(paths)]
    if path.suffix in (".png", ".jpg"):
        return Whole(path, "predict --images")
    packing = media.PACKINGS.get(path.name)
    pictures = packing is None or bool(packing.picture)
    others = ["align"] if pictures else []
    others += ["extract-audio"] if packing is None or packing.sound else []
    return Whole(path, "predict" if rng.random() < 0.6 else str(rng.choice(others)))


@pytest.mark.cases(full=300, short=3)
def test_damaged_media(case, lab, record, request):
    paths = list(lab.once(make_inputs))
    if request.config.getoption("faults", "short") == "full":
        shared = Path(os.environ.get("VA_SHARED", Path(__file__).parents[3] / "shared")) / "clips"
        paths += [shared / name for name in REAL if (shared / name).is_file()]
    rng = lab.rng("media", case)
    whole = choose(paths, case, rng)
    suffix = whole.path.suffix
    expected = lab.whole(whole, lambda: run(lab, whole.command, f"case{suffix}", whole.path.read_bytes())[0])
    content, how = mutators.damage(whole.path.read_bytes(), rng, mutators.BINARY)
    name = f"case{suffix}"
    got, path = run(lab, whole.command, name, content)

    def complaints() -> list[str]:
        heard = [lab.run([p], path.parent, entry="faults.decode:main").stdout for p in (path, whole.path)]
        return sorted(set(_lines(heard[0])) - set(_lines(heard[1])))

    neighbour = NEIGHBOUR.get(whole.command, "good.mp4")
    neighbours = [neighbour if whole.command.startswith("predict") else "good"]
    verdict = oracle.verdict_on(expected, got, (name,), neighbours, complaints)
    if not verdict.holds:
        lab.keep("media", case, path)
    record("media", f"{case} ({whole.command} {whole.path.name}, {how})", verdict)


def _lines(text: str) -> list[str]:
    return json.loads(text or '["the strict reader ended"]')
