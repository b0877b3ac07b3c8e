"""Damaged labels, predictions and lists: refused by name, said to be odd, or read as before."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

import pytest
from faults import mutators, oracle, tables
from faults.lab import Lab
from faults.world import VIDEOS, make_data

pytestmark = pytest.mark.faults
TIMED = "time_s,valence,arousal"


@dataclass(frozen=True)
class Use:
    """A command that reads a table: what is damaged, how messages may name it, and what it makes."""

    name: str
    damaged: str
    header: str
    arguments: tuple[str, ...]
    needs: tuple[str, ...]
    makes: str = ""  # a file, a store's entries (ends in .zarr), or standard output


PREDICTIONS = "frame,time_s,valence,arousal,input"
USES = (
    Use(
        "labels",
        "labels/duo_left.csv",
        TIMED,
        ("import-labels", "labels", "s.zarr", "--force"),
        ("labels", "s.zarr"),
        "s.zarr",
    ),
    Use(
        "labels aw2",
        "aw2/VA_Estimation_Challenge/Train_Set/video59.txt",
        "valence,arousal",
        ("import-labels", "aw2", "s.zarr", "--force"),
        ("aw2", "s.zarr"),
        "s.zarr",
    ),
    Use(
        "evaluate",
        "preds.csv",
        PREDICTIONS,
        ("evaluate", "preds.csv", "--labels", "labels", "--format", "json"),
        ("labels", "preds.csv"),
    ),
    Use(
        "evaluate labels",
        "labels/duo_left.csv",
        TIMED,
        ("evaluate", "preds.csv", "--labels", "labels", "--format", "json"),
        ("labels", "preds.csv"),
    ),
    Use(
        "evaluate store",
        "preds.csv",
        PREDICTIONS,
        ("evaluate", "preds.csv", "--store", "s.zarr", "--format", "json"),
        ("s.zarr", "preds.csv"),
    ),
    Use(
        "submit list",
        "list.txt",
        "image_location,valence,arousal",
        ("submit", "preds.csv", "--frame-list", "list.txt", "-o", "out.txt"),
        ("preds.csv", "list.txt"),
        "out.txt",
    ),
    Use(
        "submit",
        "preds.csv",
        PREDICTIONS,
        ("submit", "preds.csv", "--frame-list", "list.txt", "-o", "out.txt"),
        ("preds.csv", "list.txt"),
        "out.txt",
    ),
)


def run(lab: Lab, use: Use, content: bytes | None) -> oracle.Made:
    """The command on a copy of what it needs, its table replaced by `content`."""
    world, folder = lab.once(make_data), lab.folder("case")
    for name in use.needs:
        (shutil.copytree if (world / name).is_dir() else shutil.copyfile)(world / name, folder / name)
    if content is not None:
        (folder / use.damaged).write_bytes(content)
    outcome = lab.run(use.arguments, folder)
    if use.makes.endswith(".zarr"):
        return oracle.entries_of(outcome, folder / use.makes)
    if use.makes:
        target = folder / use.makes
        return oracle.Made(outcome, {use.makes: target.read_bytes() if target.exists() else None}, {})
    return oracle.text_of(outcome)


@pytest.mark.cases(full=150, short=2)
def test_damaged_tables(case, lab, record):
    use, rng = USES[case % len(USES)], lab.rng("tables", case)
    whole = lab.whole(use, lambda: run(lab, use, None))
    original = (lab.once(make_data) / use.damaged).read_bytes()
    content, how = mutators.damage(original, rng, mutators.TEXT)
    got = run(lab, use, content)
    path = lab.scratch / "case" / use.damaged
    damaged = path.stem
    neighbours = [name for name in VIDEOS if name != damaged] if use.makes.endswith(".zarr") else []
    names = (path.name, damaged, *(VIDEOS if path.suffix == ".csv" and path.stem == "preds" else ()))
    verdict = oracle.verdict_on(whole, got, names, neighbours, lambda: tables.complaints(path, use.header))
    if not verdict.holds:
        lab.keep("tables", case, path)
    record("tables", f"{case} ({use.name}, {how})", verdict)
