"""Damaged runs: refused by name whatever of their weights, statistics or recipe has changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from faults import oracle, stores
from faults.test_stores import Use, copy, made_by, prepare
from faults.world import BUNDLED_COPY

pytestmark = pytest.mark.faults
RECORDS = ("metrics.jsonl", "card.md", "data.json")  # told to people, or read for a name only

USES = (
    Use("predict bundled", BUNDLED_COPY, ("predict", "s.zarr", "--model", BUNDLED_COPY), ("s.zarr",), "rows"),
    Use("predict", "runs/a", ("predict", "s.zarr", "--model", "runs/a"), ("s.zarr",), "rows"),
    Use("predict folds", "runs/folds", ("predict", "s.zarr", "--model", "runs/folds"), ("s.zarr",), "rows"),
    Use(
        "evaluate",
        "runs/folds",
        ("evaluate", "runs/folds", "--store", "s.zarr", "--format", "json"),
        ("s.zarr",),
    ),
    Use(
        "submit",
        "runs/a",
        ("submit", "runs/a", "--store", "s.zarr", "--frame-list", "list.txt", "-o", "out.txt"),
        ("s.zarr", "list.txt"),
        "out.txt",
    ),
    Use(
        "bundled-model export",
        "runs/a",
        ("bundled-model", "export", "runs/a", "-o", "out"),
        (),
        "out/compact/weights.safetensors",
    ),
    Use(
        "extract-visual",
        "runs/face",
        ("extract-visual", "faces.zarr", "--feature", "test_vit", "--weights", "runs/face"),
        ("faces.zarr",),
        "faces.zarr",
    ),
)


def complaints(run: Path, where: str) -> list[str]:
    """A changed file of a run can be told by a hash; what only people read, by its form."""
    if Path(where).name not in RECORDS:
        return [f"{where} is not as it was written"]
    try:
        for line in (run / where).read_text().splitlines() if where.endswith("jsonl") else ():
            json.loads(line)
    except (OSError, ValueError) as error:
        return [f"{where}: {error}"]
    return []


@pytest.mark.cases(full=100, short=1)
def test_damaged_runs(case, lab, record):
    use, rng = USES[case % len(USES)], lab.rng("runs", case)
    whole = lab.whole(use, lambda: made_by(use, lab, prepare(use, lab)))
    folder = prepare(use, lab)
    where, how = stores.damage(folder / use.store, rng)
    kept = lab.folder("damaged") / use.store
    copy(folder / use.store, kept)
    got = made_by(use, lab, folder)
    names = (use.store, Path(use.store).name)
    verdict = oracle.verdict_on(whole, got, names, (), lambda: complaints(folder / use.store, where))
    if not verdict.holds:
        lab.keep("runs", case, kept)
    record("runs", f"{case} ({use.name}, {where}: {how})", verdict)
