"""Damaged stores: the part is named, and costs its own video only."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from faults import oracle, stores
from faults.lab import Lab
from faults.world import BUNDLED_COPY, TRAIN, make_data, make_runs

pytestmark = pytest.mark.faults


@dataclass(frozen=True)
class Use:
    """A command that reads a store. apart: it treats each video for itself, so that damage costs one only."""

    name: str
    store: str
    arguments: tuple[str, ...]
    needs: tuple[str, ...]
    makes: str = ""  # a file, a store's entries (ends in .zarr), rows ("rows"), or standard output
    apart: bool = False
    parts: tuple[str, ...] = ("",)  # of a store's entries, the arrays that the command makes


USES = (
    Use(
        "extract-visual",
        "faces.zarr",
        ("extract-visual", "faces.zarr"),
        (),
        "faces.zarr",
        True,
        ("feature/", "flag/"),
    ),
    Use("predict", "s.zarr", ("predict", "s.zarr", "--model", "runs/a"), ("runs/a",), "rows", True),
    Use(
        "evaluate",
        "s.zarr",
        ("evaluate", "runs/a", "--store", "s.zarr", "--split", "all", "--format", "json"),
        ("runs/a",),
    ),
    Use(
        "labels",
        "s.zarr",
        ("import-labels", "labels", "s.zarr", "--force"),
        ("labels",),
        "s.zarr",
        True,
        ("label/",),
    ),
    Use(
        "submit",
        "s.zarr",
        ("submit", "runs/a", "--store", "s.zarr", "--frame-list", "list.txt", "-o", "out.txt"),
        ("runs/a", "list.txt"),
        "out.txt",
    ),
    Use(
        "calibrate",
        "held.zarr",
        ("calibrate", "runs/folds", "held.zarr"),
        ("runs/folds",),
        "runs/folds/calibration.json",
    ),
    Use(
        "train",
        "s.zarr",
        ("train", "s.zarr", "-o", "run", "--set", "training.epochs=1", *TRAIN),
        (),
        "run/weights.safetensors",
    ),
)


def copy(source: Path, target: Path) -> None:
    """A file or folder, its parents made."""
    target.parent.mkdir(parents=True, exist_ok=True)
    (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)


def made_by(use: Use, lab: Lab, folder: Path) -> oracle.Made:
    """The command's outcome and result."""
    outcome = lab.run(use.arguments, folder)
    if use.makes == "rows":
        return oracle.rows_of(outcome)
    if use.makes.endswith(".zarr"):
        return oracle.entries_of(outcome, folder / use.makes, use.parts)
    if use.makes:
        target = folder / use.makes
        return oracle.Made(outcome, {use.makes: target.read_bytes() if target.exists() else None}, {})
    return oracle.text_of(outcome)


def prepare(use: Use, lab: Lab) -> Path:
    """A folder with what the command needs."""
    trained = any(name.startswith("runs/") and name != BUNDLED_COPY for name in (use.store, *use.needs))
    world, folder = lab.once(make_runs if trained else make_data), lab.folder("case")
    for name in (use.store, *use.needs):
        copy(world / name, folder / name)
    return folder


@pytest.mark.cases(full=150, short=1)
def test_damaged_stores(case, lab, record):
    use, rng = USES[case % len(USES)], lab.rng("stores", case)
    whole = lab.whole(use, lambda: made_by(use, lab, prepare(use, lab)))
    folder = prepare(use, lab)
    where, how = stores.damage(folder / use.store, rng)
    found = stores.complaints(folder / use.store)
    kept = lab.folder("damaged") / use.store
    copy(folder / use.store, kept)
    got = made_by(use, lab, folder)
    entry = where.partition("/")[0]
    names = (entry, use.store) if entry == where else (entry,)
    neighbours = [n for n in whole.payload if n != entry] if use.apart and entry != where else []
    verdict = oracle.verdict_on(whole, got, names, neighbours, lambda: found)
    if not verdict.holds:
        lab.keep("stores", case, kept)
    record("stores", f"{case} ({use.name}, {where}: {how})", verdict)
